package main

import (
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestTheStatusSurvivesAKill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	d := launch(t, data)
	for _, of := range [][2]string{{"status", "UP\n"}, {"status readonly", ""}, {"status", "READONLY\n"}} {
		out, log, code := command(t, "", append(strings.Fields(of[0]), "-s", d.Addr)...)
		if out != of[1] || code != 0 {
			t.Errorf("%s: got exit code %d, %q, %s; want 0 and %q", of[0], code, out, log, of[1])
		}
	}
	d.Kill()
	d = launch(t, data)
	const refused = "SERVER_ERROR the server is read-only, and does not take set\r\n"
	d.dial().say("status\r\nset q 0 0 1\r\na\r\nstatus up\r\n", "READONLY\r\n"+refused+"END\r\n")
	if !strings.Contains(d.Log.String(), "status=READONLY") {
		t.Errorf("got %s, want a line of the log about the status", d.Log)
	}
	d.stop(syscall.SIGTERM)
}

func TestAClientMayStopTheServer(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	d := launch(t, data)
	c := d.dial()
	c.say("set q 0 0 0\r\n\r\nget q\r\nset r 0 0 1\r\na\r\n",
		"STORED\r\nVALUE q 0 0\r\n\r\nEND\r\nSTORED\r\n")
	waits := d.dial()
	waits.send("get q/t=60000\r\n")
	c.until("q", "waiters", "1")
	c.send("shutdown\r\n")
	if answer, err := io.ReadAll(c); len(answer) > 0 || err != nil {
		t.Errorf("got %q, %v, want the end of the connection", answer, err)
	}
	waits.expect("END\r\n")
	d.stop(syscall.Signal(0)) // which asks for nothing: it only waits for the clean end
	launch(t, data).dial().say("get r\r\n", "VALUE r 0 1\r\na\r\nEND\r\n")
}

func TestAdministratorsSubcommands(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir(), "--admin-commands", "off")
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"status", "UP\n", 0}, {"status down", "", 2}, {"status up up", "", 2}, {"status up", "", 4},
		{"reload", "", 4}, {"reload now", "", 2},
	} {
		out, log, code := command(t, "", append(strings.Fields(c.args), "-s", d.Addr)...)
		if out != c.want || code != c.code || (log == "") != (code == 0) {
			t.Errorf("%s: got exit code %d, %q, %q; want %d, %q", c.args, code, out, log, c.code, c.want)
		}
	}
}
