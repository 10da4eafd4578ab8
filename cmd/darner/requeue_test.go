package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mourning starts a server whose queues give items up at their second failure, to the queue dead.
// More of its configuration may follow.
func mourning(t *testing.T, data, more string, flags ...string) *daemon {
	t.Helper()
	file := filepath.Join(t.TempDir(), "darner.toml")
	text := "[default]\nmax-deliveries = 2\ndead-letter = \"dead\"\n" +
		"[queue.\"dead\"]\nmax-deliveries = 0\n" + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return launch(t, data, append([]string{"--config", file}, flags...)...)
}

// die sets an item, and lets it fail until it is a dead letter. dead is how many of these there are
// then.
func (c *talker) die(queue string, flags int, body string, dead int) {
	c.t.Helper()
	c.say(fmt.Sprintf("set %s %d 0 %d\r\n%s\r\n", queue, flags, len(body), body), "STORED\r\n")
	for range 2 {
		c.say(fmt.Sprintf("get %s/open\r\nget %[1]s/abort\r\n", queue),
			fmt.Sprintf("VALUE %s %d %d\r\n%s\r\nEND\r\nEND\r\n", queue, flags, len(body), body))
	}
	c.until("dead", "items", strconv.Itoa(dead))
}

func TestPeekTellsWhereADeadLetterCameFrom(t *testing.T) {
	t.Parallel()
	d := mourning(t, t.TempDir(), "")
	c := d.dial()
	c.die("orders\u202e", 7, "hello", 1)
	out, log, code := command(t, "", "peek", "dead", "--info", "-s", d.Addr)
	for _, want := range []string{"sequence    1\n", "size        5\n", "flags       7\n",
		"enqueued    20", "expires     -\n", "due         -\n", "deliveries  0\n",
		`from        "orders\u202e", item 1, undeliverable after 2 deliveries` + "\n"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("got exit code %d, %s%s, want 0 and %q", code, out, log, want)
		}
	}
	out, log, code = command(t, "", "peek", "--info", "dead", "--json", "-s", d.Addr)
	want := `"expires":0,"due":0,"flags":7,"size":5,"deliveries":0,"from":{"queue":"orders` + "\u202e" +
		`","why":"undeliverable","sequence":1,"deliveries":2}}` + "\n"
	if code != 0 || !strings.HasSuffix(out, want) {
		t.Errorf("got exit code %d, %s%s, want 0 and %s", code, out, log, want)
	}
	c.say("get dead\r\n", "VALUE dead 7 5\r\nhello\r\nEND\r\n")
	if _, log, code := command(t, "", "peek", "dead", "--info", "-s", d.Addr); code != 1 ||
		!strings.Contains(log, "no item in dead") {
		t.Errorf("got exit code %d, %s, want 1 and no item", code, log)
	}
	if _, log, code := command(t, "", "peek", "dead", "--json", "-s", d.Addr); code != 2 ||
		!strings.Contains(log, "--info") {
		t.Errorf("got exit code %d, %s, want 2", code, log)
	}
}

func TestRequeuePutsItemsBackWhereTheyCameFrom(t *testing.T) {
	t.Parallel()
	d := mourning(t, t.TempDir(), "")
	c := d.dial()
	large := strings.Repeat("0123456789", 300_000)
	c.die("orders", 1, "one", 1)
	c.die("a%+é", 2147483647, "", 2)
	c.say("set dead 0 0 6\r\nmanual\r\n", "STORED\r\n")
	c.die("orders", 3, large, 4)
	c.say("set orders 0 0 5\r\nalive\r\n", "STORED\r\n")

	out, log, code := command(t, "", "requeue", "dead", "-s", d.Addr)
	want := "orders: 2 items, 3000003 bytes\na%+é: 1 item, 0 bytes\n" +
		"dead: not moved: 1 item without an origin, the first is number 3; see --to\n"
	if out != want || log != "" || code != 0 {
		t.Errorf("got exit code %d\n%s%s, want 0\n%s", code, out, log, want)
	}
	c.say(strings.Repeat("get orders\r\n", 4), "VALUE orders 0 5\r\nalive\r\nEND\r\n"+
		"VALUE orders 1 3\r\none\r\nEND\r\n"+
		fmt.Sprintf("VALUE orders 3 %d\r\n%s\r\nEND\r\nEND\r\n", len(large), large))
	c.say("get a%+é\r\n", "VALUE a%+é 2147483647 0\r\n\r\nEND\r\n")

	out, log, code = command(t, "", "requeue", "dead", "-s", d.Addr)
	if code != 1 || !strings.Contains(log, "nothing to move") || !strings.Contains(out, "1 item with") {
		t.Errorf("got exit code %d\n%s%s, want 1", code, out, log)
	}
	out, log, code = command(t, "", "requeue", "dead", "--to", "orders", "-s", d.Addr)
	if out != "orders: 1 item, 6 bytes\n" || code != 0 {
		t.Errorf("got exit code %d\n%s%s, want 0", code, out, log)
	}
	c.say("get orders\r\nget dead\r\n", "VALUE orders 0 6\r\nmanual\r\nEND\r\nEND\r\n")
}

func TestRequeueBringsBackExpiredItems(t *testing.T) {
	t.Parallel()
	d := mourning(t, t.TempDir(), "[queue.\"short\"]\nexpire-to = \"old\"\n")
	c := d.dial()
	c.say("set short 5 -1 1\r\na\r\n", "STORED\r\n")
	c.until("old", "items", "1")
	out, log, code := command(t, "", "requeue", "old", "-s", d.Addr)
	if out != "short: 1 item, 1 byte\n" || code != 0 {
		t.Errorf("got exit code %d, %s%s, want 0", code, out, log)
	}
	c.say("get short\r\n", "VALUE short 5 1\r\na\r\nEND\r\n")
}

func TestRequeueMovesNoMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	d := mourning(t, t.TempDir(), "")
	c := d.dial()
	for i := range 3 {
		c.die("orders", 0, fmt.Sprint(i), i+1)
	}
	out, log, code := command(t, "", "requeue", "--limit", "2", "dead", "-s", d.Addr)
	want := "orders: 2 items, 2 bytes\ndead: not moved: 1 item beyond the limit or that came " +
		"meanwhile, 0 that other clients have open\n"
	if out != want || code != 0 {
		t.Errorf("got exit code %d\n%s%s, want 0\n%s", code, out, log, want)
	}
	c.say("get orders\r\nget orders\r\nget dead\r\n", "VALUE orders 0 1\r\n0\r\nEND\r\n"+
		"VALUE orders 0 1\r\n1\r\nEND\r\nVALUE dead 0 1\r\n2\r\nEND\r\n")
	for _, args := range []string{"", "dead --limit 0", "dead --to dead", "dead --to a/b", "a b"} {
		_, log, code := command(t, "", append(strings.Fields("requeue "+args), "-s", d.Addr)...)
		if code != 2 {
			t.Errorf("requeue %s: got exit code %d, %s, want 2", args, code, log)
		}
	}
}

// An item that its queue does not take stays where it was.
func TestRequeueStopsAtWhatIsRefused(t *testing.T) {
	t.Parallel()
	d := mourning(t, t.TempDir(), "[queue.\"orders\"]\nmax-items = 2\n")
	c := d.dial()
	for i := range 3 {
		c.die("orders", 0, fmt.Sprint(i), i+1)
	}
	out, log, code := command(t, "", "requeue", "dead", "-s", d.Addr)
	if out != "orders: 2 items, 2 bytes\n" || code != 4 || !strings.Contains(log,
		"after 2 items: item 3 stays in dead: orders: the queue is at its limit") {
		t.Errorf("got exit code %d\n%s%s, want 4 and why", code, out, log)
	}
	c.until("dead", "open_transactions", "0")
	c.say("get dead\r\n", "VALUE dead 0 1\r\n2\r\nEND\r\n")
}

// What is opened and given back counts as delivered. In a queue that drops such items that would
// lose them.
func TestRequeueRefusesAQueueThatCouldDropItems(t *testing.T) {
	t.Parallel()
	d := mourning(t, t.TempDir(), "[queue.\"drops\"]\nmax-deliveries = 1\ndead-letter = \"\"\n")
	c := d.dial()
	c.say("set drops 0 0 1\r\na\r\nset orders 0 0 1\r\na\r\n", "STORED\r\nSTORED\r\n")
	for _, queue := range []string{"drops", "orders"} { // the item of orders has no origin
		out, log, code := command(t, "", "requeue", queue, "-s", d.Addr)
		if out != "" || code != 2 || !strings.Contains(log, "max-deliveries = 0") {
			t.Errorf("%s: got exit code %d\n%s%s, want 2 and what to do", queue, code, out, log)
		}
		if n := c.figure(queue, "transactions"); n != "0" {
			t.Errorf("%s: got %s items that were opened, want none", queue, n)
		}
	}
}

// The tool or the server may be killed in the middle: the next requeue goes on. In the end every
// item is back, in order. Each kill makes one item come twice, at most.
func TestRequeueLosesNothingWhenAnythingIsKilled(t *testing.T) {
	t.Parallel()
	const n = 3000
	data := t.TempDir()
	d := mourning(t, data, "")
	c := d.dial()
	var sets, opens, values strings.Builder
	for i := range n {
		fmt.Fprintf(&sets, "set q 0 0 5\r\n%05d\r\n", i)
		for range 2 {
			opens.WriteString("get q/open\r\nget q/abort\r\n")
			fmt.Fprintf(&values, "VALUE q 0 5\r\n%05d\r\nEND\r\nEND\r\n", i)
		}
	}
	for _, talk := range [][2]string{
		{sets.String(), strings.Repeat("STORED\r\n", n)}, {opens.String(), values.String()},
	} {
		go c.Write([]byte(talk[0]))
		c.expect(talk[1])
	}
	c.until("dead", "items", strconv.Itoa(n))
	before := c.figure("q", "total_items")

	kills := 0
	for _, victim := range []string{"tool", "server", "interrupt", "tool", "server"} {
		cmd := exec.Command(binary, "requeue", "dead", "-s", d.Addr)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		c := d.dial()
		for end := time.Now().Add(limit); c.figure("q", "total_items") == before; {
			if time.Now().After(end) {
				t.Fatal("nothing is moved")
			}
		}
		switch victim {
		case "tool":
			kills++
			cmd.Process.Kill()
		case "server":
			kills++
			d.Kill()
		case "interrupt":
			cmd.Process.Signal(os.Interrupt)
		}
		if err := cmd.Wait(); err == nil {
			t.Logf("the requeue was over before: %s", victim)
		}
		if victim == "interrupt" && cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("got exit code %d, want 130", cmd.ProcessState.ExitCode())
		}
		if victim == "server" {
			d = mourning(t, data, "")
		}
		d.dial().until("dead", "open_transactions", "0")
		before = d.dial().figure("q", "total_items")
	}
	if _, log, code := command(t, "", "requeue", "dead", "-s", d.Addr); code != 0 {
		t.Fatalf("got exit code %d, want 0: %s", code, log)
	}
	if left := d.dial().figure("dead", "items"); left != "0" {
		t.Errorf("got %s items left, want none", left)
	}
	out, log, code := command(t, "", "get", "-s", d.Addr, "q", "--lines", "-n", "0")
	if code != 0 {
		t.Fatalf("got exit code %d, want 0: %s", code, log)
	}
	next, twice := 0, 0
	for line := range strings.Lines(out) {
		switch i, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); {
		case err == nil && i == next:
			next++
		case err == nil && i == next-1:
			twice++
		default:
			t.Fatalf("got %q, want %05d", line, next)
		}
	}
	if next != n || twice > kills {
		t.Errorf("got %d items, %d twice, want %d, %d at most", next, twice, n, kills)
	}
}
