package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPutAndGetCarryAnyBytes(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	d := launch(t, t.TempDir(), "--socket", socket)
	for _, item := range []string{"", "\n", "one\r\ntwo\r\nEND\r\n", "\x00\xff\x80",
		strings.Repeat("0123456789", 300_000)} {
		for _, server := range []string{d.Addr, socket} {
			if out, log, code := command(t, item, "put", "q", "--server", server); code != 0 ||
				out+log != "" {
				t.Fatalf("put: got exit code %d, %q, %q, want 0 and nothing", code, out, log)
			}
			if out, log, code := command(t, "", "get", "q", "--server", server); code != 0 ||
				out != item || log != "" {
				t.Errorf("got %.40q, exit code %d, %q, want %.40q", out, code, log, item)
			}
		}
	}
	if out, log, code := command(t, "", "get", "q", "--server", d.Addr); code != 1 || out != "" ||
		!strings.Contains(log, "no item in q") {
		t.Errorf("got exit code %d, %q, %q, want 1 and no item", code, out, log)
	}
}

func TestPutFilesAndLines(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one\n\nthree"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"put", "q", file, file}, {"put", "--lines", "q", file}} {
		if _, log, code := command(t, "", append(args, "-s", d.Addr)...); code != 0 {
			t.Fatalf("%v: got exit code %d, %s, want 0", args, code, log)
		}
	}
	for _, get := range []struct{ flags, want string }{
		{"--count 2", "one\n\nthreeone\n\nthree"}, {"--lines", "one\n"},
		{"--lines -n 0", "\nthree\n"}, {"-n 0", ""},
	} {
		args := append([]string{"get", "q", "-s", d.Addr}, strings.Fields(get.flags)...)
		if out, log, code := command(t, "", args...); code != 0 || out != get.want {
			t.Errorf("get %s: got exit code %d, %q, %s, want 0, %q", get.flags, code, out, log,
				get.want)
		}
	}
	if _, log, code := command(t, "", "put", "q", file+"x", "-s", d.Addr); code != 1 ||
		!strings.Contains(log, "no such file") {
		t.Errorf("got exit code %d, %s, want 1 for a missing file", code, log)
	}
}

func TestGetWaits(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	c := d.dial()
	c.say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	get := exec.Command(binary, "get", "q", "--wait", "30s", "--server", d.Addr)
	var out bytes.Buffer
	get.Stdout = &out
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	c.until("q", "waiters", "1")
	c.say("set q 0 0 5\r\nhello\r\n", "STORED\r\n")
	if err := get.Wait(); err != nil || out.String() != "hello" {
		t.Errorf("got %q, %v, want hello", &out, err)
	}
}

func TestFollowGoesOnUntilInterrupted(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	c := d.dial()
	c.say("set q 0 0 5\r\nfirst\r\n", "STORED\r\n")
	get := exec.Command(binary, "get", "q", "--follow", "--lines", "--server", d.Addr)
	var out bytes.Buffer
	get.Stdout = &out
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	c.until("q", "waiters", "1")
	c.say("set q 0 0 6\r\nsecond\r\n", "STORED\r\n")
	c.until("q", "transactions", "2")
	c.until("q", "waiters", "1")
	get.Process.Signal(os.Interrupt)
	if err := get.Wait(); err != nil || out.String() != "first\nsecond\n" {
		t.Errorf("got %q, %v, want both items", &out, err)
	}
	c.until("q", "waiters", "0")
	if open, items := c.figure("q", "open_transactions"), c.figure("q", "items"); open != "0" ||
		items != "0" {
		t.Errorf("got %s items, %s open, want none", items, open)
	}
}

func TestGetDoesNotConfirmWhatItCannotWrite(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here to fail writes")
	}
	defer full.Close()
	d := launch(t, t.TempDir())
	c := d.dial()
	c.say("set q 0 0 5\r\nhello\r\n", "STORED\r\n")
	get := exec.Command(binary, "get", "q", "--server", d.Addr)
	var log bytes.Buffer
	get.Stdout, get.Stderr = full, &log
	if err := get.Run(); err == nil || !strings.Contains(log.String(), "stays in q") {
		t.Errorf("got %v, %s, want that the item stays", err, &log)
	}
	c.until("q", "open_transactions", "0")
	c.say("get q\r\n", "VALUE q 0 5\r\nhello\r\nEND\r\n")
}

func TestStatsShowsATable(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	d.dial().say("set orders 0 0 5\r\nhello\r\nset a_total 0 0 1\r\na\r\n", "STORED\r\nSTORED\r\n")
	out, log, code := command(t, "", "stats", "-s", d.Addr)
	for _, want := range []string{"darner 1.", "QUEUE", "ITEMS", "\norders ", "\na_total "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("got exit code %d, want 0 and %q in\n%s%s", code, want, out, log)
		}
	}
	if out, _, code := command(t, "", "stats", "orders", "-s", d.Addr); code != 0 ||
		strings.Count(out, "\n") != 2 || !strings.Contains(out, "orders") {
		t.Errorf("got exit code %d, want 0 and one queue:\n%s", code, out)
	}
	if _, log, code := command(t, "", "stats", "none", "-s", d.Addr); code != 1 ||
		!strings.Contains(log, "no queue none") {
		t.Errorf("got exit code %d, %s, want 1 and no queue", code, log)
	}
}
