package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/tools/client"
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
	if _, log, code := command(t, "", "put", "q", file+"x", "-s", d.Addr); code != 6 ||
		!strings.Contains(log, "no such file") {
		t.Errorf("got exit code %d, %s, want 6 for a missing file", code, log)
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
	for _, how := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		d := launch(t, t.TempDir())
		c := d.dial()
		c.say("set q 0 0 5\r\nfirst\r\n", "STORED\r\n")
		get := exec.Command(binary, "get", "q", "--follow", "--lines", "--server", d.Addr)
		var out, log bytes.Buffer
		get.Stdout, get.Stderr = &out, &log
		if err := get.Start(); err != nil {
			t.Fatal(err)
		}
		c.until("q", "waiters", "1")
		c.say("set q 0 0 6\r\nsecond\r\n", "STORED\r\n")
		c.until("q", "transactions", "2")
		c.until("q", "waiters", "1")
		get.Process.Signal(how)
		get.Wait()
		if code := get.ProcessState.ExitCode(); code != 130 || out.String() != "first\nsecond\n" ||
			log.Len() > 0 {
			t.Errorf("%v: got exit code %d, %q, %q, want 130 and both items", how, code, &out, &log)
		}
		c.until("q", "waiters", "0")
		if open, items := c.figure("q", "open_transactions"), c.figure("q", "items"); open != "0" ||
			items != "0" {
			t.Errorf("got %s items, %s open, want none", items, open)
		}
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
		!strings.Contains(out, "\ntotal_items ") {
		t.Errorf("got exit code %d, want 0 and the figures of a queue:\n%s", code, out)
	}
	if _, log, code := command(t, "", "stats", "none", "-s", d.Addr); code != 1 ||
		!strings.Contains(log, "no queue none") {
		t.Errorf("got exit code %d, %s, want 1 and no queue", code, log)
	}
}

func TestPutStopsAtTheFirstLineThatIsRefused(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir(), "--max-item-size", "10")
	var lines strings.Builder
	for i := 1; i <= 2000; i++ {
		fmt.Fprintln(&lines, i)
		if i == 1000 {
			lines.WriteString("much too long\n")
		}
	}
	_, log, code := command(t, lines.String(), "put", "--lines", "q", "-", "-s", d.Addr)
	if code != 4 || !strings.Contains(log, "standard input, line 1001: the server answered: "+
		"SERVER_ERROR object too large for queue; 1000 items are stored, and none from there on") {
		t.Errorf("got exit code %d, %s, want 4 and the line", code, log)
	}
	if items := d.dial().figure("q", "items"); items != "1000" {
		t.Errorf("got %s items in the queue, want 1000", items)
	}
}

func TestAnInterruptedPutSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	c := d.dial()
	put := exec.Command(binary, "put", "--lines", "q", "-s", d.Addr)
	var log bytes.Buffer
	put.Stderr = &log
	in, err := put.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := put.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "a\nb") // a line is stored though the next one is not finished
	c.until("q", "items", "1")
	io.WriteString(in, "c\nd")
	c.until("q", "items", "2")
	put.Process.Signal(syscall.SIGTERM)
	put.Wait()
	if code := put.ProcessState.ExitCode(); code != 130 ||
		!strings.Contains(log.String(), "interrupted at standard input, line 3; 2 items are stored") {
		t.Errorf("got exit code %d, %s, want 130 and how far it came", code, &log)
	}
	c.say("get q\r\nget q\r\nget q\r\n",
		"VALUE q 0 1\r\na\r\nEND\r\nVALUE q 0 2\r\nbc\r\nEND\r\nEND\r\n")
}

func TestJSONCarriesAnyBytesAndFlags(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	c := d.dial()
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	sets := "set q 7 0 256\r\n" + string(all) + "\r\nset q 0 0 0\r\n\r\nset q 4294967295 0 3\r\né\n\r\n"
	c.say(sets, "STORED\r\nSTORED\r\nSTORED\r\n")
	for _, framing := range []string{"--json", "--length-prefixed"} {
		items, log, code := command(t, "", "get", "-n", "0", "q", framing, "-s", d.Addr)
		if code != 0 || log != "" {
			t.Fatalf("got exit code %d, %s, want 0", code, log)
		}
		if _, log, code := command(t, items, "put", "q", framing, "-s", d.Addr); code != 0 {
			t.Fatalf("got exit code %d, %s, want 0", code, log)
		}
		flags, last := "7", "4294967295"
		if framing != "--json" {
			flags, last = "0", "0"
		}
		c.say("get q\r\nget q\r\nget q\r\n", "VALUE q "+flags+" 256\r\n"+string(all)+"\r\nEND\r\n"+
			"VALUE q 0 0\r\n\r\nEND\r\nVALUE q "+last+" 3\r\né\n\r\nEND\r\n")
		c.say(sets, "STORED\r\nSTORED\r\nSTORED\r\n")
	}
}

func TestACommandConfirmsItsItem(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	c := d.dial()
	c.say("set q 0 0 1\r\na\r\nset q 0 0 1\r\nb\r\nset q 0 0 1\r\nc\r\n",
		strings.Repeat("STORED\r\n", 3))
	out, log, code := command(t, "", "get", "-n", "0", "q", "-s", d.Addr, "--exec",
		"read x; echo $x; test $x != b")
	if code != 6 || out != "a\nb\n" || !strings.Contains(log, "exit status 1") {
		t.Errorf("got exit code %d, %q, %s, want 6 and two runs", code, out, log)
	}
	c.until("q", "open_transactions", "0")
	c.say("get q\r\nget q\r\nget q\r\n",
		"VALUE q 0 1\r\nb\r\nEND\r\nVALUE q 0 1\r\nc\r\nEND\r\nEND\r\n")
}

// ctrl-C reaches the command as well.
func TestACommandThatAnInterruptEndsIsInterrupted(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	c := d.dial()
	c.say("set q 0 0 1\r\na\r\n", "STORED\r\n")
	_, log, code := command(t, "", "get", "q", "-s", d.Addr, "--exec", "kill -INT $$")
	if code != 130 || !strings.Contains(log, "interrupted: an item of 1 byte stays") {
		t.Errorf("got exit code %d, %s, want 130 and that the item stays", code, log)
	}
	c.until("q", "open_transactions", "0")
	c.say("get q\r\n", "VALUE q 0 1\r\na\r\nEND\r\n")
}

func TestACommandIsEndedByAPipeThatClosesAsInAShell(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	d.dial().say("set q 0 0 1\r\na\r\n", "STORED\r\n")
	out, log, code := command(t, "", "get", "q", "-s", d.Addr, "--exec", "cat /dev/zero | head -c 1")
	if out != "\x00" || log != "" || code != 0 {
		t.Errorf("got exit code %d, %q, %s, want 0 and no complaint", code, out, log)
	}
}

func TestAnOutputThatIsClosedLosesNothing(t *testing.T) {
	t.Parallel()
	const n = 50_000
	d := launch(t, t.TempDir())
	fill(t, d, "q", n)
	get := exec.Command(binary, "get", "-n", "0", "--lines", "q", "-s", d.Addr)
	out, err := get.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	get.Stderr = &log
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 6*1000)
	if _, err := io.ReadFull(out, head); err != nil {
		t.Fatal(err)
	}
	// The reader goes, once what it would read is in the pipe. All of that counts as written.
	c := d.dial()
	c.until("q", "open_transactions", strconv.Itoa(client.DefaultPrefetch))
	out.Close()
	get.Wait()
	if code := get.ProcessState.ExitCode(); code != 6 || !strings.Contains(log.String(), "stays in q") {
		t.Errorf("got exit code %d, %s, want 6 and that an item stays", code, &log)
	}
	c.until("q", "open_transactions", "0")
	left, err := strconv.Atoi(c.figure("q", "items"))
	if err != nil {
		t.Fatal(err)
	}
	rest, _, _ := command(t, "", "get", "-n", "0", "--lines", "q", "-s", d.Addr)
	if want := numbers(n-left, n); rest != want || n-left < 1000 {
		t.Errorf("got %d items after the end, want those from %d on", strings.Count(rest, "\n"), n-left)
	}
}

// The server is killed again and again while a queue is read: the reader gets each item once, and
// in order.
func TestReadersSurviveKillsOfTheServer(t *testing.T) {
	t.Parallel()
	const n, kills = 50_000, 4
	data := t.TempDir()
	d := launch(t, data)
	_, port, _ := net.SplitHostPort(d.Addr)
	for _, how := range []string{"--follow", "--count=0"} {
		fill(t, d, "q", n)
		get := exec.Command(binary, "get", how, "--lines", "q", "-s", d.Addr)
		out, err := get.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := get.Start(); err != nil {
			t.Fatal(err)
		}
		defer get.Process.Kill()
		lines := bufio.NewScanner(out)
		for i := range n {
			if i > 0 && i%(n/(kills+1)) == 0 {
				d.Kill()
				d = launch(t, data, "--port", port)
			}
			if !lines.Scan() || lines.Text() != fmt.Sprintf("%05d", i) {
				t.Fatalf("%s: got %q, want %05d", how, lines.Text(), i)
			}
		}
		get.Process.Signal(os.Interrupt)
		get.Wait()
		if code := get.ProcessState.ExitCode(); how == "--follow" && code != 130 {
			t.Errorf("got exit code %d, want 130", code)
		}
		d.dial().until("q", "open_transactions", "0")
		if items := d.dial().figure("q", "items"); items != "0" {
			t.Errorf("%s: got %s items left, want none", how, items)
		}
	}
}

// The server has a bound of its own on what is open ahead.
func TestMoreThanTheServerOpensAheadMayBeAskedFor(t *testing.T) {
	t.Parallel()
	const n = 4 * client.MaxPrefetch
	d := launch(t, t.TempDir())
	fill(t, d, "q", n)
	out, log, code := command(t, "", "get", "-n", "0", "--lines", "--prefetch", "1000000", "q", "-s",
		d.Addr)
	if code != 0 || out != numbers(0, n) {
		t.Errorf("got exit code %d, %d items, %s, want 0 and %d", code, strings.Count(out, "\n"), log, n)
	}
}

// fill appends n numbers of five digits to a queue.
func fill(t *testing.T, d *daemon, queue string, n int) {
	t.Helper()
	if _, log, code := command(t, numbers(0, n), "put", "--lines", queue, "-s", d.Addr); code != 0 {
		t.Fatalf("got exit code %d, %s, want 0", code, log)
	}
}

func numbers(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%05d\n", i)
	}
	return b.String()
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	fill(t, d, "q", 50_000)
	c := d.dial()
	get := exec.Command(binary, "get", "-n", "0", "--lines", "q", "-s", d.Addr)
	if _, err := get.StdoutPipe(); err != nil { // nobody reads it
		t.Fatal(err)
	}
	if err := get.Start(); err != nil {
		t.Fatal(err)
	}
	c.until("q", "open_transactions", strconv.Itoa(client.DefaultPrefetch))
	done := make(chan struct{})
	go func() {
		get.Process.Wait()
		close(done)
	}()
	for ended := false; !ended; {
		get.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
			ended = true
		default:
			runtime.Gosched()
		}
	}
	c.until("q", "open_transactions", "0")
}

// The figures of queues are left out then for monitors, not for whoever asks for queues.
func TestQueuesAreFoundWhateverTheFormatOfStats(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"full", "server", "darner"} {
		from, to := launch(t, t.TempDir(), "--stats-format", format), launch(t, t.TempDir())
		from.dial().say("set a 0 0 1\r\n1\r\nset b:c 0 0 1\r\n2\r\n", strings.Repeat("STORED\r\n", 2))
		for _, c := range []struct{ args, want string }{
			{"ls -l", "         1  a\n         1  b:c\n"}, {"stats a", "items "},
			{"drain --server " + to.Addr + " " + from.Addr, "a: 1 item, 1 byte\nb:c: 1 item, 1 byte\n"},
		} {
			args := strings.Fields(c.args)
			if args[0] != "drain" {
				args = append(args, "-s", from.Addr)
			}
			out, log, code := command(t, "", args...)
			if code != 0 || !strings.Contains(out, c.want) {
				t.Errorf("%s, %s: got exit code %d, %q, %s; want %q", format, c.args, code, out, log,
					c.want)
			}
		}
	}
}

func TestSmallCommands(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	d.dial().say("set a 0 0 1\r\n1\r\nset a 0 0 1\r\n2\r\nset b 0 0 1\r\n3\r\n",
		strings.Repeat("STORED\r\n", 3))
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"ls", "a\nb\n", 0}, {"ls -l", "         2  a\n         1  b\n", 0},
		{"peek a", "1", 0}, {"peek a", "1", 0}, {"peek none", "", 1},
		{"flush a", "", 0}, {"peek a", "", 1}, {"get a", "", 1},
		{"delete b", "", 0}, {"ls", "a\n", 0}, {"flush a b", "", 2}, {"delete", "", 2},
		{"peek a/b", "", 2}, {"peek help", "", 1}, {"get h", "", 1},
		{"drain 127.0.0.1:1 a/b", "", 2},
	} {
		out, log, code := command(t, "", append(strings.Fields(c.args), "-s", d.Addr)...)
		if out != c.want || code != c.code || (log == "") != (code == 0) {
			t.Errorf("%s: got exit code %d, %q, %q; want %d, %q", c.args, code, out, log, c.code,
				c.want)
		}
	}
}
