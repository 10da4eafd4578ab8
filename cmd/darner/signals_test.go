package main

// Signals and the standard error of the real server.

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/tools/spawn"
)

func TestAHangupDoesNotEndTheServer(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	for range 3 {
		if err := d.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	d.dial().say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	waitFor(t, "a line of the log", func() bool {
		return strings.Contains(d.Log.String(), "the configuration is reloaded")
	})
	d.stop(syscall.SIGTERM)
}

// As in darner 2> >(head -1), or with a log daemon that is restarted.
func TestTheServerOutlivesTheReaderOfItsLog(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := spawn.Command(binary, t.TempDir(), "--socket", socket, "--debug")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if strings.Contains(lines.Text(), "is ready") {
			break
		}
	}
	r.Close()
	works(t, cmd, socket)
}

func TestAReaderOfTheLogThatIsStuckHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	r, w, err := os.Pipe() // whose buffer has 64 KiB
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := spawn.Command(binary, t.TempDir(), "--socket", socket, "--debug")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	waitForSocket(t, socket)
	for range 700 { // two lines each, of a hundred bytes
		c, err := net.DialTimeout("unix", socket, limit)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(limit))
		if _, err := c.Write([]byte("version\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	works(t, cmd, socket)
}

func TestTheServerRunsWithoutAStandardError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("sh", "-c", `exec "$0" "$@" 2>&-`, binary, "--data", dir+"/data",
		"--port", "0", "--socket", socket, "--debug")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	works(t, cmd, socket)
	err := filepath.WalkDir(dir+"/data", func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "level=") {
			t.Errorf("the log is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// works uses a server by its socket, has it log more, and stops it.
func works(t *testing.T, cmd *exec.Cmd, socket string) {
	t.Helper()
	t.Cleanup(func() { cmd.Process.Kill() })
	waitForSocket(t, socket)
	for range 3 {
		for _, args := range []string{"put q -s ", "get q -s "} {
			if _, log, code := command(t, "a", strings.Fields(args+socket)...); code != 0 {
				t.Fatalf("%s: got exit code %d, %s", args, code, log)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v from the server, want a clean end", err)
	}
}

func waitForSocket(t *testing.T, socket string) {
	t.Helper()
	waitFor(t, "the server", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// waitFor asks until it is there.
func waitFor(t *testing.T, what string, there func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !there(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
	}
}

// A second signal costs what a kill does.
func TestASecondSignalEndsAServerThatIsStopping(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	d := launch(t, data)
	stuck := d.dial() // asks for much and reads nothing, which a stop waits for
	stuck.SetReadBuffer(4096)
	body := strings.Repeat("x", 16<<20)
	stuck.say("set big 0 0 16777216\r\n"+body+"\r\nget big\r\n", "STORED\r\nVALUE big 0 16777216\r\n")
	if err := d.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the beginning of the stop", func() bool {
		return strings.Contains(d.Log.String(), "darner is stopping")
	})
	if err := d.Stop(syscall.SIGTERM, limit); err != nil {
		t.Fatal(err)
	}
	if status := d.Cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() ||
		status.Signal() != syscall.SIGTERM {
		t.Errorf("got %v, want an end by SIGTERM", d.Err)
	}
	if items := launch(t, data).dial().figure("big", "items"); items != "1" {
		t.Errorf("got %s items, want the one that was not read to its end", items)
	}
}
