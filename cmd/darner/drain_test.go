package main

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
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
	want := "a%+é: 1 item, 0 bytes\nboats: 1 item, 1 byte\ncars: 301 items, 3000900 bytes\n" +
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
	if want := "c: 1 item, 1 byte\na: 1 item, 1 byte\nnosuch: nothing to move: the source has no such queue, or it is empty\n"; out != want || log != "" || code != 0 {
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
	if out != "q: 1 item, 3 bytes\n" || code != 4 || !strings.Contains(log, "queue q, after 1 item: target (an item of 200000 bytes goes back to its place at the source): the server answered: SERVER_ERROR object too large") {
		t.Errorf("got exit code %d\n%s%s, want 4 and what the target answered", code, out, log)
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
		if out, log, code := command(t, "", append([]string{"drain"}, args...)...); code != 2 ||
			!strings.Contains(log, "are one server") {
			t.Errorf("got exit code %d\n%s%s, want 2 and that they are one server", code, out, log)
		}
	}
	if _, log, code := command(t, "", "drain", "--server", d.Addr); code != 2 ||
		!strings.Contains(log, "from which server?") {
		t.Errorf("got exit code %d, %s, want 2 and a question", code, log)
	}
}

// The drain, the target or the source may be killed in the middle: the next drain goes on. In the
// end every item is at the target, in order. Each kill of the drain or the target makes
// the items that were open come twice, at most; one of the source makes none.
func TestDrainLosesNothingWhenAnythingIsKilled(t *testing.T) {
	t.Parallel()
	const n, prefetch = 20_000, 16
	sourceData, targetData := t.TempDir(), t.TempDir()
	source, target := launch(t, sourceData), launch(t, targetData)
	_, port, _ := net.SplitHostPort(source.Addr)
	var sets strings.Builder
	for i := range n {
		fmt.Fprintf(&sets, "set q 0 0 5\r\n%05d\r\n", i)
	}
	from := source.dial()
	go from.Write([]byte(sets.String()))
	from.expect(strings.Repeat("STORED\r\n", n))

	kills := 0
	for _, victim := range []string{"drain", "target", "source"} {
		cmd := exec.Command(binary, "drain", "--prefetch", strconv.Itoa(prefetch), "--server",
			target.Addr, source.Addr)
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
		switch victim {
		case "drain":
			kills++
			cmd.Process.Kill()
		case "target":
			kills++
			target.Kill()
			target = launch(t, targetData)
		case "source":
			source.Kill()
			source = launch(t, sourceData, "--port", port) // and the drain goes on
		}
		if err := cmd.Wait(); err == nil && victim != "source" {
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
	next, last, twice := 0, -1, 0
	for line := range strings.Lines(out) {
		i, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
		switch {
		case err == nil && i == next:
			next++
		case err == nil && i < next && i >= next-prefetch && (i == last+1 || last == next-1):
			twice++
		default:
			t.Fatalf("got %q after %05d, want %05d", line, last, next)
		}
		last = i
	}
	if next != n || twice > kills*prefetch {
		t.Errorf("got %d items, %d twice, want %d, %d at most", next, twice, n, kills*prefetch)
	}
}
