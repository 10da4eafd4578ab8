package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestDrainMovesEverything(t *testing.T) {
	t.Parallel()
	source, target := launch(t, t.TempDir()), launch(t, t.TempDir())
	from := source.dial()
	large := strings.Repeat("0123456789", 300_000)
	var cars strings.Builder
	for i := range 300 {
		from.say(fmt.Sprintf("set cars %d 0 3\r\n%03d\r\n", i, i), "STORED\r\n")
		fmt.Fprintf(&cars, "VALUE cars %d 3\r\n%03d\r\nEND\r\n", i, i)
	}
	from.say(fmt.Sprintf("set cars 4294967295 0 %d\r\n%s\r\n", len(large), large), "STORED\r\n")
	fmt.Fprintf(&cars, "VALUE cars 4294967295 %d\r\n%s\r\nEND\r\n", len(large), large)
	from.say("set a%+é 0 0 0\r\n\r\nset boats 0 0 5\r\nEND\r\n\r\nset boats 0 0 1\r\nb\r\n",
		strings.Repeat("STORED\r\n", 3))
	from.say("get boats/open\r\n", "VALUE boats 0 5\r\nEND\r\n\r\nEND\r\n") // another client's

	out, log, code := command(t, "", "drain", source.Addr, "--server", target.Addr)
	want := "a%+é: 1 items, 0 bytes\nboats: 1 items, 1 bytes\ncars: 301 items, 3000900 bytes\n" +
		"boats: not moved: 0 items that came meanwhile, 1 that other clients have open\n"
	if out != want || log != "" || code != 0 {
		t.Errorf("got exit code %d\n%s%s, want 0\n%s", code, out, log, want)
	}
	to := target.dial()
	to.say(strings.Repeat("get cars\r\n", 302), cars.String()+"END\r\n")
	to.say("get a%+é\r\nget boats\r\n",
		"VALUE a%+é 0 0\r\n\r\nEND\r\nVALUE boats 0 1\r\nb\r\nEND\r\n")
	from.say("get cars\r\nget boats/abort\r\nget boats\r\n",
		"END\r\nEND\r\nVALUE boats 0 5\r\nEND\r\n\r\nEND\r\n")
}

func TestDrainTakesTheQueuesThatAreNamed(t *testing.T) {
	t.Parallel()
	source, target := launch(t, t.TempDir()), launch(t, t.TempDir())
	from := source.dial()
	from.say("set a 0 0 1\r\na\r\nset b 0 0 1\r\nb\r\nset c 0 0 1\r\nc\r\n",
		strings.Repeat("STORED\r\n", 3))
	out, log, code := command(t, "", "drain", "--server", target.Addr, source.Addr, "c", "nosuch",
		"a")
	if want := "c: 1 items, 1 bytes\na: 1 items, 1 bytes\nnosuch: nothing to move: the source has no such queue, or it is empty\n"; out != want || log != "" || code != 0 {
		t.Errorf("got exit code %d\n%s%s, want 0\n%s", code, out, log, want)
	}
	if items := from.figure("b", "items"); items != "1" {
		t.Errorf("got %s items in b, want 1", items)
	}
}

// An item that the target refuses stays at the source.
func TestDrainStopsAtWhatTheTargetRefuses(t *testing.T) {
	t.Parallel()
	source, target := launch(t, t.TempDir()), launch(t, t.TempDir(), "--max-item-size", "1000")
	from := source.dial()
	large := strings.Repeat("x", 200_000)
	from.say("set q 0 0 3\r\none\r\nset q 7 0 200000\r\n"+large+"\r\nset q 0 0 5\r\nthree\r\n",
		strings.Repeat("STORED\r\n", 3))
	out, log, code := command(t, "", "drain", "--server", target.Addr, source.Addr)
	if out != "q: 1 items, 3 bytes\n" || code != 1 || !strings.Contains(log, "queue q, after 1 items: target (an item of 200000 bytes goes back to its place at the source): the server answered: SERVER_ERROR object too large") {
		t.Errorf("got exit code %d\n%s%s, want 1 and what the target answered", code, out, log)
	}
	from.until("q", "open_transactions", "0")
	from.say("get q\r\nget q\r\n",
		"VALUE q 7 200000\r\n"+large+"\r\nEND\r\nVALUE q 0 5\r\nthree\r\nEND\r\n")
	target.dial().say("get q\r\nget q\r\n", "VALUE q 0 3\r\none\r\nEND\r\nEND\r\n")
}

func TestDrainIntoItselfIsRefused(t *testing.T) {
	t.Parallel()
	d := launch(t, t.TempDir())
	d.dial().say("set q 0 0 1\r\na\r\n", "STORED\r\n")
	local := strings.Replace(d.Addr, "127.0.0.1", "localhost", 1)
	for _, args := range [][]string{{d.Addr, "--server", d.Addr}, {local, "--server", d.Addr}} {
		if out, log, code := command(t, "", append([]string{"drain"}, args...)...); code != 1 ||
			!strings.Contains(log, "are one server") {
			t.Errorf("got exit code %d\n%s%s, want 1 and that they are one server", code, out, log)
		}
	}
	if _, log, code := command(t, "", "drain", "--server", d.Addr); code != 1 ||
		!strings.Contains(log, "from which server?") {
		t.Errorf("got exit code %d, %s, want 1 and a question", code, log)
	}
}

// The drain, the target or the source may be killed in the middle: the next drain goes on. In the
// end every item is at the target, in order. Each kill makes one item come twice, at most.
func TestDrainLosesNothingWhenAnythingIsKilled(t *testing.T) {
	t.Parallel()
	const n = 20_000
	sourceData, targetData := t.TempDir(), t.TempDir()
	source, target := launch(t, sourceData), launch(t, targetData)
	var sets strings.Builder
	for i := range n {
		fmt.Fprintf(&sets, "set q 0 0 5\r\n%05d\r\n", i)
	}
	from := source.dial()
	go from.Write([]byte(sets.String()))
	from.expect(strings.Repeat("STORED\r\n", n))

	kills := 0
	for _, victim := range []string{"drain", "target", "source"} {
		cmd := exec.Command(binary, "drain", "--server", target.Addr, source.Addr)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		to := target.dial()
		before := to.figure("q", "total_items")
		for end := time.Now().Add(limit); to.figure("q", "total_items") == before; {
			if time.Now().After(end) {
				t.Fatal("nothing is moved")
			}
		}
		kills++
		switch victim {
		case "drain":
			cmd.Process.Kill()
		case "target":
			target.Kill()
			target = launch(t, targetData)
		case "source":
			source.Kill()
			source = launch(t, sourceData)
		}
		if err := cmd.Wait(); err == nil {
			t.Logf("the drain was over before the %s was killed", victim)
		}
	}
	if _, log, code := command(t, "", "drain", "--server", target.Addr, source.Addr); code != 0 {
		t.Fatalf("got exit code %d, want 0: %s", code, log)
	}
	out, log, code := command(t, "", "get", "--server", target.Addr, "q", "--lines", "-n", "0")
	if code != 0 {
		t.Fatalf("got exit code %d, want 0: %s", code, log)
	}
	next, twice := 0, 0
	for line := range strings.Lines(out) {
		switch line {
		case fmt.Sprintf("%05d\n", next):
			next++
		case fmt.Sprintf("%05d\n", next-1):
			twice++
		default:
			t.Fatalf("got %q after %05d, want %05d", line, next-1, next)
		}
	}
	if next != n || twice > kills {
		t.Errorf("got %d items, %d twice, want %d, %d at most", next, twice, n, kills)
	}
}

// The path of a socket needs no slash. A name that is not a socket is an address.
func TestSocketOfTheWorkingDirectoryIsAnAddress(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := net.Listen("unix", "db.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]string{"db.sock": "./db.sock", "./db.sock": "./db.sock",
		"file": "file", "host:22133": "host:22133"} {
		if got := address(a); got != want {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
	}
}
