package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/server"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/tools/spawn"
)

func TestServerStopsWithinFiveSecondsWhileClientsWait(t *testing.T) {
	for _, how := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			d := launch(t, data)
			c := d.dial()
			c.say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
			var waiting []*talker
			for range 100 {
				w := d.dial()
				w.send("get q/t=60000\r\n")
				waiting = append(waiting, w)
			}
			c.until("q", "waiters", "100")
			stuck := d.dial() // asks for much and reads nothing
			stuck.SetReadBuffer(4096)
			body := strings.Repeat("x", 16<<20)
			stuck.say("set big 0 0 16777216\r\n"+body+"\r\nget big\r\n",
				"STORED\r\nVALUE big 0 16777216\r\n")
			c.send(strings.Repeat("set q 0 0 1\r\nb\r\n", 50)) // to waiters
			c.send(strings.Repeat("set kept 0 0 1\r\nk\r\n", 100))
			if took := d.stop(how); took > 5*time.Second {
				t.Errorf("got %v for a stop, want 5 s at most", took)
			}
			c.expect(strings.Repeat("STORED\r\n", 150))
			got := 0
			for _, w := range waiting {
				answer, err := io.ReadAll(w)
				switch string(answer) {
				case "VALUE q 0 1\r\nb\r\nEND\r\n":
					got++
				case "END\r\n":
				default:
					t.Errorf("got %q, %v for a waiting client, want an item or END", answer, err)
				}
			}
			c = launch(t, data).dial()
			if items := c.figure("q", "items"); got != 50 || items != "0" {
				t.Errorf("got %d items delivered and %s left, want 50 and 0", got, items)
			}
			if items := c.figure("kept", "items"); items != "100" {
				t.Errorf("got %s items, want all 100 that were sent", items)
			}
			c.say("get big/peek\r\n", "VALUE big 0 16777216\r\n"+body+"\r\nEND\r\n")
		})
	}
}

func TestASecondServerOnTheSameDataRefuses(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	d := launch(t, data)
	_, log, code := command(t, "", "--data", data, "--port", "0")
	if code != 1 || strings.Count(log, "\n") != 1 || !strings.Contains(log, data) ||
		!strings.Contains(log, "another process") {
		t.Errorf("got exit code %d, %s, want 1 and one line", code, log)
	}
	d.dial().say("version\r\n", "VERSION 1.0.0\r\n")
	d.Kill()
	launch(t, data).dial().say("version\r\n", "VERSION ") // a killed server leaves no lock
}

func TestADialectAnswersAsItsServerDid(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir(), "--dialect", "kestrel", "--echo-key", "asked")
	d.dial().say("version\r\nflush_all\r\nset q 0 0 1\r\na\r\nget q/t=10\r\n",
		"VERSION 2.4.1\r\nFlushed all queues.\r\nSTORED\r\nVALUE q/t=10 0 1\r\na\r\nEND\r\n")
}

func TestServerIsQuiet(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "deep", "data")
	socket := filepath.Join(t.TempDir(), "socket")
	d := launch(t, data, "--socket", socket)
	d.dial().say("set q 0 0 1\r\na\r\nget q\r\nnonsense\r\n",
		"STORED\r\nVALUE q 0 1\r\na\r\nEND\r\nERROR\r\n")
	d.stop(syscall.SIGTERM)
	lines := strings.Split(strings.TrimSpace(d.Log.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], data) ||
		!strings.Contains(lines[0], socket) || !strings.Contains(lines[0], server.Version) {
		t.Errorf("got this log, want three lines:\n%s", d.Log)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket file is left behind")
	}
}

func TestWrongUseIsOneLineAndItsExitCode(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--port 70000":                 "port",
		"--port x":                     "port",
		"--config /none/x.toml":        "/none/x.toml",
		"-c /none/x.toml":              "/none/x.toml",
		"--max-disk 1":                 "max-disk",
		"--when-full never":            "discard-oldest",
		"--sync sometimes":             "sync",
		"--segment-size 1":             "segment-size",
		"--segment-size big":           "size",
		"--memory-limit 1MiB":          "less than a server needs",
		"--listen 127.0.0.1:1":         "port = 1",
		"--max-dsik 1":                 "did you mean --max-disk?",
		"--max-item-size 0":            "max-item-size",
		"--max-connections 0":          "max-connections",
		"--listen 256.1.1.1 --port 0":  "listen",
		"--data /dev/null/x --port 0":  "/dev/null",
		"--nonsense":                   "nonsense",
		"nonsense":                     "unknown command",
		"put":                          "which queue",
		"get":                          "which queue",
		"get a b":                      "one queue",
		"bench":                        "flood",
		"bench flut":                   "no suite",
		"bench all --size big":         "size",
		"bench all -s 127.0.0.1:1":     "127.0.0.1:1",
		"get a --wait -1s":             "negative",
		"get a --wait 5":               "as in 5s",
		"get a --server 127.0.0.1:1":   "127.0.0.1:1",
		"stats --server /none/at/all":  "/none/at/all",
		"stats --nonsense":             "nonsense",
		"put a --server":               "server",
		"put ..x --server 127.0.0.1:1": "127.0.0.1:1",
		"put ../x":                     "queue name",
	} {
		flags := strings.Fields(args)
		if !strings.HasPrefix(args, "--data") && strings.HasPrefix(args, "-") {
			flags = append([]string{"--data", t.TempDir()}, flags...)
		}
		out, log, code := command(t, "", flags...)
		wantCode := 2
		switch {
		case strings.Contains(args, "127.0.0.1:1") && !strings.HasPrefix(args, "--"),
			strings.Contains(args, "/none/at/all"):
			wantCode = 3
		case strings.Contains(args, "256.1"), strings.Contains(args, "/dev/null"):
			wantCode = 1
		}
		if code != wantCode || out != "" || !strings.HasPrefix(log, "darner: ") ||
			strings.Count(log, "\n") != 1 || !strings.Contains(log, want) {
			t.Errorf("darner %s: got exit code %d, output %q, error %q, want %d and %q", args,
				code, out, log, wantCode, want)
		}
	}
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-v", "--version"} {
		if out, _, code := command(t, "", flag); code != 0 ||
			!strings.Contains(out, server.Version) {
			t.Errorf("%s: got exit code %d, %q, want 0 and the version", flag, code, out)
		}
	}
	for _, flag := range []string{"-h", "--help"} {
		out, _, code := command(t, "", flag)
		for _, want := range []string{
			"--data", "-d", "--port", "-p", "--listen", "--socket", "--sync", "--segment-size",
			"--max-connections", "--max-item-size", "--debug", "--config", "-c",
			"put", "get", "stats",
		} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s: got exit code %d, want 0 and %s in\n%s", flag, code, want, out)
			}
		}
	}
}

func TestEverySettingHasAFlag(t *testing.T) {
	var flags []string
	for _, x := range flagTexts {
		flags = append(flags, x.name)
	}
	c := config.Default()
	for _, s := range c.Settings() {
		if !slices.Contains(flags, s.Name) {
			t.Errorf("%s has no flag", s.Name)
		}
	}
	if len(flags) != len(c.Settings()) {
		t.Errorf("got %d flags, want %d", len(flags), len(c.Settings()))
	}
}

func TestAllErrorsOfTheConfigurationAreToldInOneRound(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.toml")
	if err := os.WriteFile(file, []byte("prot = 1\nparity = 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-c", file, "--port", "x")
	cmd.Env = append(os.Environ(), "DARNER_LOOPS=many")
	out, _ := cmd.CombinedOutput()
	want := "darner: 4 errors in the configuration:\n" +
		"  " + file + ":1: prot: there is no such setting; did you mean port?\n" +
		"  DARNER_LOOPS: \"many\" is not a whole number\n" +
		"  --port: \"x\" is not a whole number\n" +
		"  " + file + ":2: parity: 9 is not between 0 and 4\n"
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestTheStartSaysWhichFileWasReadAndWhatMayBeWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.toml")
	text := "debug = true\nlisten = \"::\"\n[queue.typo]\nparity = 2\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := spawn.Command(binary, t.TempDir())
	cmd.Env = append(os.Environ(), "DARNER_CONFIG="+file, "DARNER_MAX_DSIK=1GiB")
	s, err := spawn.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.Ready(limit); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"config=" + file, "variable=DARNER_MAX_DSIK nearest=DARNER_MAX_DISK",
		"does not exist yet\" queue=typo", "listening on all addresses",
	} {
		if !strings.Contains(s.Log.String(), want) {
			t.Errorf("got the log\n%s\nwant %s in it", s.Log, want)
		}
	}
}
