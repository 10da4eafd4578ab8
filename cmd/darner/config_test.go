package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "darner.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	right := configFile(t, "port = 1\n[queue.\"a*\"]\nmax-items = 1\nmax-age = \"1s\"\n")
	out, log, code := command(t, "", "config", "check", right)
	if want := right + ": OK (settings: 3, tables of queues: 1)\n"; out != want || log != "" || code != 0 {
		t.Errorf("got exit code %d, %q, %s, want %q", code, out, log, want)
	}
	wrong := configFile(t, "prot = 1\n[queue.\"a*\"]\nmax-itmes = 1\n")
	out, log, code = command(t, "", "config", "check", wrong)
	want := "darner: 2 errors in the configuration:\n" +
		"  " + wrong + ":1: prot: there is no such setting; did you mean port?\n" +
		"  " + wrong + ":3: queue.\"a*\".max-itmes: there is no such setting; did you mean max-items?\n"
	if out != "" || log != want || code != 1 {
		t.Errorf("got exit code %d, %q, %s, want 1 and %s", code, out, log, want)
	}
	for _, args := range []string{"config check", "config check a b", "config", "config chekc x",
		"config show a b", "config show a/b", "config from-kestrel"} {
		if _, log, code := command(t, "", strings.Fields(args)...); code != 2 || log == "" {
			t.Errorf("%s: got exit code %d, %s, want 2 and why", args, code, log)
		}
	}
}

func TestWhatIsInForceIsShownWithWhereItIsFrom(t *testing.T) {
	t.Parallel()
	file := configFile(t, "port = 1\n[queue.\"a*\"]\nmax-items = 7\n")
	show := func(args ...string) map[string]string {
		out, log, code := command(t, "", append([]string{"config", "show"}, args...)...)
		if code != 0 {
			t.Fatalf("got exit code %d, %s", code, log)
		}
		lines := make(map[string]string)
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			lines[f[0]] = strings.Join(f[1:], " ")
		}
		return lines
	}
	for name, want := range map[string]string{"port": "1 " + file + ":1", "loops": "3 --loops",
		"data": "data default", "socket": "- default"} {
		if got := show("--config", file, "--loops", "3")[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"max-items": "7 " + file + `:3 [queue."a*"]`,
		"parity": "2 --parity", "delay": "0 default"} {
		if got := show("abc", "--config", file, "--parity", "2")[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestAKestrelsConfigurationIsRead(t *testing.T) {
	t.Parallel()
	file := configFile(t, "new KestrelConfig {\n  maxOpenTransactions = 9\n}\n")
	out, log, code := command(t, "", "config", "from-kestrel", file)
	if code != 0 || !strings.Contains(out, "max-open-reads = 9\n") {
		t.Errorf("got exit code %d, %q, %s, want the setting", code, out, log)
	}
}

func TestAHangupReloads(t *testing.T) {
	t.Parallel()
	file := configFile(t, "")
	d := launch(t, t.TempDir(), "--config", file)
	c := d.dial()
	c.say("set q 0 0 3\r\nabc\r\n", "STORED\r\n")
	for text, says := range map[string]string{
		"[queue.q]\nmax-item-sise = 1\n": "did you mean max-item-size?",
		"max-item-size = 2\n":            "changed=max-item-size",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, says, func() bool { return strings.Contains(d.Log.String(), says) })
	}
	c.say("set q 0 0 3\r\nabc\r\n", "SERVER_ERROR object too large for queue\r\n")
}
