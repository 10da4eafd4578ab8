package drain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/darner/darner/tools/client"
)

const hangUp = "hang up"

// fake starts a server that answers each line with what answer returns, which may be nothing, and
// returns its address.
func fake(t *testing.T, answer func(line string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { serve(conn, answer) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		served.Wait()
	})
	return l.Addr().String()
}

func serve(conn net.Conn, answer func(line string) string) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		reply := answer(strings.TrimSpace(line))
		if reply == hangUp {
			return
		}
		io.WriteString(conn, reply)
	}
}

// pair is a source and a target. The source holds two items in cars and one in its fan-out child,
// with the names that Kestrel uses. all is every request to either, in order.
type pair struct {
	from, to string

	mu   sync.Mutex
	all  []string
	left map[string]int
}

// newPair makes a pair. sets are the target's answers to the first items; it answers later ones
// with STORED.
func newPair(t *testing.T, sets ...string) *pair {
	p := &pair{left: map[string]int{"cars": 2, "cars+audit": 1}}
	p.from, p.to = fake(t, p.source), fake(t, func(line string) string {
		if line == "stats settings" {
			return "ERROR\r\n"
		}
		p.note("> " + line)
		if strings.HasPrefix(line, "set ") {
			return "" // the body is the next line
		}
		answer := "STORED"
		if len(sets) > 0 {
			answer, sets = sets[0], sets[1:]
		}
		if answer == hangUp {
			return answer
		}
		return answer + "\r\n"
	})
	return p
}

func (p *pair) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, line)
}

func (p *pair) source(line string) string {
	p.note(line)
	switch line {
	case "stats":
		return "STAT uptime 5\r\nSTAT queue_cars+audit_items 1\r\n" +
			"STAT queue_cars+audit_bytes 1\r\nSTAT queue_cars_items 2\r\nSTAT queue_cars_bytes 2\r\n" +
			"STAT queue_cars_total_items 9\r\nEND\r\n"
	case "stats settings":
		return "ERROR\r\n"
	}
	name, open := strings.CutSuffix(strings.TrimPrefix(line, "gets "), "/open")
	if !open || p.left[name] == 0 {
		return "END\r\n"
	}
	p.left[name]--
	return fmt.Sprintf("VALUE %s 5 1 9\r\n%d\r\nEND\r\n", name, p.left[name])
}

func (p *pair) run(ctx context.Context, progress func(Moved)) (moved []Moved, err error) {
	err = Run(ctx, p.from, p.to, Options{Prefetch: client.DefaultPrefetch, Progress: progress,
		Done: func(m Moved) { moved = append(moved, m) }})
	return moved, err
}

func (p *pair) expect(t *testing.T, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.all, want) {
		t.Errorf("got requests\n%s\nwant\n%s", strings.Join(p.all, "\n"), strings.Join(want, "\n"))
	}
}

// An item is confirmed before the next one is opened. A parent comes before its child.
func TestItemsAreConfirmedWhenTheyAreStored(t *testing.T) {
	p := newPair(t)
	moved, err := p.run(context.Background(), nil)
	if err != nil || !slices.Equal(moved, []Moved{{"cars", 2, 2}, {"cars+audit", 1, 1}}) {
		t.Errorf("got %v moved, %v; want 2 items of cars and 1 of its child", moved, err)
	}
	p.expect(t, "stats",
		"gets cars/open", "> set cars 5 0 1", "> 1", "stats settings",
		"get cars/close", "gets cars/open", "> set cars 5 0 1", "> 0",
		"get cars/close", "gets cars/open",
		"gets cars+audit/open", "> set cars+audit 5 0 1", "> 0", "stats settings",
		"get cars+audit/close", "gets cars+audit/open")
}

func TestWhatIsNotStoredIsNotConfirmed(t *testing.T) {
	for answer, want := range map[string]string{
		"NOT_STORED":            "the queue is at its limit",
		"SERVER_ERROR no space": "the server answered: SERVER_ERROR no space",
		hangUp:                  "the connection broke",
		"HTTP/1.1 400":          "is it a queue server?",
	} {
		p := newPair(t, "STORED", answer)
		moved, err := p.run(context.Background(), nil)
		if err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "queue cars, after 1 item: target") ||
			moved[0].Items != 1 {
			t.Errorf("%s: got %v moved, %v; want 1 item and %q", answer, moved, err, want)
		}
		p.expect(t, "stats",
			"gets cars/open", "> set cars 5 0 1", "> 1", "stats settings",
			"get cars/close", "gets cars/open", "> set cars 5 0 1", "> 0")
	}
}

// An interrupted run ends between two items, and confirms the item that was stored.
func TestAnInterruptedRunConfirmsWhatItMoved(t *testing.T) {
	p := newPair(t)
	ctx, cancel := context.WithCancel(context.Background())
	moved, err := p.run(ctx, func(Moved) { cancel() })
	if !errors.Is(err, context.Canceled) || moved[0].Items != 1 {
		t.Errorf("got %v moved, %v; want 1 item and that it was interrupted", moved, err)
	}
	p.expect(t, "stats", "gets cars/open", "> set cars 5 0 1", "> 1", "get cars/close")
}

func TestRestSaysWhatIsLeft(t *testing.T) {
	from := fake(t, func(string) string {
		return "STAT queue_a_items 0\r\nSTAT queue_a_open_transactions 2\r\n" +
			"STAT queue_b_items 1\r\nSTAT queue_c_items 0\r\nEND\r\n"
	})
	for _, c := range []struct {
		queues []string
		want   []Left
	}{{nil, []Left{{"a", 0, 2}, {"b", 1, 0}}}, {[]string{"b", "c"}, []Left{{"b", 1, 0}}}} {
		got, err := Rest(context.Background(), from, c.queues)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("queues %v: got %v, %v; want %v", c.queues, got, err, c.want)
		}
	}
}

func TestOneServerHasManyAddresses(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true},
		{"127.0.0.1:1", "[::1]:1", true},
		{"127.0.0.1:1", "0.0.0.0:1", true},
		{":1", "127.0.0.1:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false},
		{"192.0.2.1:1", "192.0.2.1:1", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"/run/darner", "/run/darner", true},
		{"/run/darner", "127.0.0.1:1", false},
	} {
		if got := Same(context.Background(), c.a, c.b); got != c.want {
			t.Errorf("%s and %s: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
