package requeue

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

// server answers for a queue by hand: turns has, by request, what is said the next times. A request
// that has none left is answered as usual.
type server struct {
	address string

	mu    sync.Mutex
	turns map[string][]string
	asked []string // what touched items, in order
}

const hangUp = "hang up"

func newServer(t *testing.T, turns map[string][]string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().String(), turns: turns}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		served.Wait()
	})
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "set ") {
			r.ReadString('\n')
		}
		answer := s.answer(line)
		if answer == hangUp {
			return
		}
		io.WriteString(conn, answer)
	}
}

func (s *server) answer(line string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	word, _, _ := strings.Cut(line, " ")
	if word != "stats" && word != "dump_config" && word != "info" {
		s.asked = append(s.asked, line)
	}
	if turns := s.turns[line]; len(turns) > 0 {
		s.turns[line] = turns[1:]
		return turns[0]
	}
	switch word {
	case "stats":
		return "STAT queue_dead_items 9\r\nEND\r\n"
	case "set":
		return "STORED\r\n"
	}
	return "END\r\n"
}

func (s *server) run(o Options) (Result, error) {
	return Run(context.Background(), s.address, "dead", o)
}

func (s *server) expect(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.asked, want) {
		t.Errorf("got requests\n%s\nwant\n%s", strings.Join(s.asked, "\n"), strings.Join(want, "\n"))
	}
}

// info is an item of one byte that came from orders, or from nowhere.
func info(seq int, from string) string {
	return fmt.Sprintf("STAT sequence %d\r\nSTAT size 1\r\nSTAT flags 5\r\nSTAT enqueued 1000\r\n"+
		"STAT from %s\r\nEND\r\n", seq, from)
}

const orders = "orders undeliverable 3 2"

func value(seq int) string { return fmt.Sprintf("VALUE dead 5 1 %d\r\nx\r\nEND\r\n", seq) }

const (
	opens   = "gets dead/open"
	ahead   = "gets dead/open/ahead"
	set     = "set orders/sync 5 0 1"
	confirm = "confirm dead 1"
	abort   = "get dead/abort"
)

func TestAnItemIsConfirmedWhenItIsStoredAndSynced(t *testing.T) {
	s := newServer(t, map[string][]string{
		"info dead": {info(1, orders), info(2, orders)}, opens: {value(1), value(2)},
	})
	r, err := s.run(Options{})
	if err != nil || !slices.Equal(r.Moved, []Moved{{"orders", 2, 2}}) {
		t.Errorf("got %+v, %v, want 2 items", r, err)
	}
	s.expect(t, opens, set, confirm, opens, set, confirm)
}

// Another client may take the head, or give an older one back, between info and the get.
func TestAnItemThatIsNotTheOneDescribedGoesBack(t *testing.T) {
	s := newServer(t, map[string][]string{
		"info dead": {info(1, orders), info(2, orders), info(3, orders)},
		opens:       {value(2), "END\r\n", value(3)},
	})
	r, err := s.run(Options{})
	if err != nil || r.Items() != 1 {
		t.Errorf("got %+v, %v, want 1 item", r, err)
	}
	s.expect(t, opens, abort, opens, opens, set, confirm)
}

// What was open for too long went back, and may come up again. It is not stored a second time.
func TestAnItemThatWasOpenForTooLongIsStoredOnce(t *testing.T) {
	s := newServer(t, map[string][]string{
		"info dead": {info(1, orders), info(1, orders)},
		opens:       {value(1), value(1)}, confirm: {"ERROR\r\n", "END\r\n"},
	})
	r, err := s.run(Options{})
	if err != nil || r.Items() != 1 {
		t.Errorf("got %+v, %v, want 1 item", r, err)
	}
	s.expect(t, opens, set, confirm, opens, confirm)

	s = newServer(t, map[string][]string{
		"info dead": {info(1, orders), info(1, orders)},
		opens:       {value(1), value(1)}, confirm: {"ERROR\r\n", "ERROR\r\n"},
	})
	if r, err = s.run(Options{}); err == nil || !strings.Contains(err.Error(), "open-timeout") {
		t.Errorf("got %+v, %v, want that it takes too long", r, err)
	}
}

func TestWhatIsNotStoredIsNotConfirmed(t *testing.T) {
	for answer, want := range map[string]string{
		"NOT_STORED\r\n":            "item 1 stays in dead: orders: the queue is at its limit",
		"SERVER_ERROR no space\r\n": "item 1 stays in dead: orders: the server answered: SERVER_ERROR",
		hangUp:                      "item 1 of dead may be in orders too: the connection broke",
	} {
		s := newServer(t, map[string][]string{
			"info dead": {info(1, orders)}, opens: {value(1)}, set: {answer},
		})
		r, err := s.run(Options{})
		if err == nil || !strings.Contains(err.Error(), want) || r.Items() != 0 {
			t.Errorf("%s: got %+v, %v, want %q", answer, r, err, want)
		}
		s.expect(t, opens, set)
	}
}

func TestWhatCannotBeConfirmedIsSaidToBeInBoth(t *testing.T) {
	s := newServer(t, map[string][]string{
		"info dead": {info(1, orders)}, opens: {value(1)}, confirm: {hangUp},
	})
	r, err := s.run(Options{})
	if err == nil || !strings.Contains(err.Error(), "item 1 of dead is in orders too") ||
		!errors.Is(err, client.ErrNoServer) {
		t.Errorf("got %+v, %v, want that it is in both", r, err)
	}
}

func TestItemsWithoutAnOriginAreHeldUntilTheEnd(t *testing.T) {
	s := newServer(t, map[string][]string{
		"info dead": {info(1, "-"), info(2, "?"), info(3, orders)},
		ahead:       {value(1), value(2)}, opens: {value(3)},
	})
	r, err := s.run(Options{})
	if err != nil || r.Items() != 1 || r.Stay != 2 || r.First != 1 {
		t.Errorf("got %+v, %v, want 1 item moved and 2 that stay", r, err)
	}
	s.expect(t, ahead, ahead, opens, set, confirm, abort, abort)
}

// If something else was opened than what was to be held, all that is held goes back.
func TestAnItemThatWasHeldByMistakeGoesBack(t *testing.T) {
	s := newServer(t, map[string][]string{
		"info dead": {info(1, "-"), info(3, "-"), info(1, "-"), info(2, orders), info(3, "-")},
		ahead:       {value(1), value(2), value(1), value(3)}, opens: {value(2)},
	})
	r, err := s.run(Options{})
	if err != nil || r.Items() != 1 || r.Stay != 2 {
		t.Errorf("got %+v, %v, want 1 item moved and 2 that stay", r, err)
	}
	s.expect(t, ahead, ahead, abort, abort, ahead, opens, set, confirm, ahead, abort, abort)
}

func TestAQueueOfOnesChoiceTakesAll(t *testing.T) {
	const set = "set other/sync 5 0 1"
	s := newServer(t, map[string][]string{
		"info dead": {info(1, "-"), info(2, orders), info(3, orders)}, opens: {value(1), value(2)},
	})
	r, err := s.run(Options{To: "other", Limit: 2})
	if err != nil || !slices.Equal(r.Moved, []Moved{{"other", 2, 2}}) || r.Rest != 9 {
		t.Errorf("got %+v, %v, want 2 items", r, err)
	}
	s.expect(t, opens, set, confirm, opens, set, confirm)
}

// The items that a run moves may die again at once. They come after those it began with.
func TestARunEndsThoughItemsComeMeanwhile(t *testing.T) {
	turns := map[string][]string{}
	for i := range 20 {
		turns["info dead"] = append(turns["info dead"], info(i+1, orders))
		turns[opens] = append(turns[opens], value(i+1))
	}
	r, err := newServer(t, turns).run(Options{})
	if err != nil || r.Items() != 9 {
		t.Errorf("got %+v, %v, want the 9 items of the start", r, err)
	}
}

func TestQueuesThatCountDeliveriesAreHandledWithCare(t *testing.T) {
	dump := func(most, to string) []string {
		return []string{"queue 'dead' {\r\n  max-deliveries=" + most + "\r\n  dead-letter=" + to +
			"\r\n}\r\nEND\r\n"}
	}
	s := newServer(t, map[string][]string{"dump_config": dump("3", "")})
	if _, err := s.run(Options{}); !errors.Is(err, ErrSettings) {
		t.Errorf("got %v, want a refusal where an item might be dropped", err)
	}
	s = newServer(t, map[string][]string{
		"dump_config": dump("3", "graves"), "info dead": {info(1, orders), info(2, "-")}, opens: {value(1)},
	})
	if r, err := s.run(Options{}); !errors.Is(err, ErrSettings) || r.Items() != 1 {
		t.Errorf("got %+v, %v, want a refusal to hold an item that might move on", r, err)
	}
	s.expect(t, opens, set, confirm)
}

func TestAnInterruptedRunEndsBetweenTwoItems(t *testing.T) {
	s := newServer(t, map[string][]string{
		"info dead": {info(1, orders), info(2, orders)}, opens: {value(1), value(2)},
	})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Run(ctx, s.address, "dead", Options{Progress: func(int64) { cancel() }})
	if !errors.Is(err, context.Canceled) || r.Items() != 1 {
		t.Errorf("got %+v, %v, want 1 item and that it was interrupted", r, err)
	}
	s.expect(t, opens, set, confirm)
}
