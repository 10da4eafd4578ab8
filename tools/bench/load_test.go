package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestLoadCountsWhatTheServerAnswered(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		var requests atomic.Int64
		addr := queue{before: func(string) { requests.Add(1) }}.serve(t)
		l := load{address: addr, dialect: memcache{}, queue: "q", items: newItems(random(1000), 64),
			conns: 3, depth: 4, loop: loop}
		l.count = 1000
		l.mix = sets
		r := run(t, l)
		if n := requests.Load(); r.set.TotalCount() != 1000 || r.get.TotalCount() != 0 ||
			n != 1000 || r.elapsed <= 0 {
			t.Errorf("got %d sets and %d gets in %v, the server got %d; want 1000 sets",
				r.set.TotalCount(), r.get.TotalCount(), r.elapsed, n)
		}
		l.mix, l.count, l.duration = pairs, 0, 50*time.Millisecond
		requests.Store(0)
		r = run(t, l)
		if n := requests.Load(); r.answered() != n ||
			r.set.TotalCount() != r.get.TotalCount() || n < 6 {
			t.Errorf("got %d sets and %d gets, the server got %d; want all of them, in turn",
				r.set.TotalCount(), r.get.TotalCount(), n)
		}
		l.duration = 1 // over before it begins
		if r = run(t, l); r.answered() < 6 {
			t.Errorf("got %d requests from 3 connections, want a pair from each", r.answered())
		}
		l.mix, l.count, l.duration = gets, 1000, 0
		if r = run(t, l); r.get.TotalCount() != 1000 {
			t.Errorf("got %d gets, want the 1000 items that the sets left", r.get.TotalCount())
		}
		if _, err := l.run(t.Context()); err == nil ||
			!strings.Contains(err.Error(), `asked "get q\r\n", got "END\r\n"`) {
			t.Errorf("a get of an empty queue: got %v, want an error that quotes it", err)
		}
		l.mix, l.count = drain, 0
		if r = run(t, l); r.answered() != 0 {
			t.Errorf("got %d answers counted of an empty queue, want none", r.answered())
		}
	})
}

// An answer may come in pieces, of one byte at worst.
func TestLoadTakesAnswersInPieces(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		for _, c := range []struct {
			dialect dialect
			hello   int // number of answers to the hello; the others are sent twice
			answers []string
		}{
			{memcache{}, 0, []string{"", "STORED\r\n", "VALUE q 0 5\r\nhello\r\nEND\r\n"}},
			{redis{}, 0,
				[]string{"", "", "", "", "", "", ":17\r\n", "", "", "", "", "$5\r\nhello\r\n"}},
			{beanstalkd{}, 3, []string{"", "", "USING q\r\nWATCHING 2\r\nWATCHING 1\r\n", "",
				"INSERTED 3\r\n", "RESERVED 3 5\r\nhello\r\n", "DELETED\r\n"}},
		} {
			for i, a := range c.answers {
				c.answers[i] = strings.Join(strings.Split(a, ""), "|")
			}
			l := one(script(t, slices.Concat(c.answers, c.answers[c.hello:])...), c.dialect,
				"hello", loop)
			l.count = 4
			r := run(t, l)
			if r.set.TotalCount() != 2 || r.answered() != 4 {
				t.Errorf("%T: got %d sets of %d requests, want 2 of 4", c.dialect,
					r.set.TotalCount(), r.answered())
			}
		}
	})
}

func TestWrongAnswerEndsTheLoadAndIsQuoted(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		for _, c := range []struct {
			dialect dialect
			answers []string
			want    string
		}{
			{memcache{}, []string{"SERVER_ERROR no\r\n"}, "SERVER_ERROR no"},
			{memcache{}, []string{"STORED\r\n", "END\r\n"}, "END"},
			{memcache{}, []string{"STORED\r\n", "VALUE q 0 5\r\nhallo\r\nEND\r\n"}, "hallo"},
			{memcache{}, []string{"STORED\r\n", "VALUE q 0 4\r\nhell\r\nEND\r\n"}, "VALUE q 0 4"},
			{memcache{}, []string{"STORED\r\n", "VALUE q 0 5\r\nhelloo\r\nEND\r\n"}, `o\r\nEND`},
			{memcache{}, []string{"STORED\r\n", "VALUE q 0 5\r\nhello\r\nEND\r\nEND\r\n"}, "END"},
			{memcache{}, []string{"STORED\r\nSTORED\r\n"}, "STORED"},
			{redis{}, []string{"-OOM\r\n"}, "-OOM"},
			{redis{}, []string{":1\r\n", "$-1\r\n"}, "$-1"},
			{beanstalkd{}, []string{"JOB_TOO_BIG\r\n"}, "JOB_TOO_BIG"},
			{beanstalkd{}, []string{"INSERTED 1\r\n", "RESERVED 1 5\r\nhello\r\n", "NOT_FOUND\r\n"},
				"NOT_FOUND"},
		} {
			var lines []string
			switch c.dialect.(type) { // an answer to the last line of each request
			case memcache:
				lines = append([]string{"", c.answers[0]}, c.answers[1:]...)
			case redis:
				lines = []string{"", "", "", "", "", "", c.answers[0]}
				if len(c.answers) > 1 {
					lines = append(lines, "", "", "", "", c.answers[1])
				}
			case beanstalkd:
				lines = append([]string{"", "", "USING q\r\nWATCHING 2\r\nWATCHING 1\r\n", "",
					c.answers[0]}, c.answers[1:]...)
			}
			l := one(script(t, lines...), c.dialect, "hello", loop)
			l.count = 4
			if _, err := l.run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%T answered %q: got %v, want %s", c.dialect, c.answers, err, c.want)
			}
		}
	})
}

func TestLoadEndsWhenTheServerDoes(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		addr := serve(t, func(c net.Conn) { c.Read(make([]byte, 10)) })
		_, err := one(addr, memcache{}, "hello", loop).run(t.Context())
		if err == nil {
			t.Error("got no error, want that of a connection that broke")
		}
	})
}

func TestLoadEndsWithItsContext(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		addr := queue{before: func(string) { cancel() }}.serve(t)
		l := one(addr, memcache{}, "hello", loop)
		l.count, l.duration = 0, time.Hour
		if _, err := l.run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

// Many items larger than any buffer are in flight: neither side may wait for the other.
func TestLargeItemsComeBackWhole(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		l := load{address: queue{}.serve(t), dialect: memcache{}, queue: "q",
			items: newItems(random(3<<20), 2<<20), conns: 2, depth: 4, count: 8, loop: loop}
		if r := run(t, l); r.answered() < 8 {
			t.Errorf("got %d answers, want 8 or more", r.answered())
		}
	})
}

// While a server stalls, every request that is due has to wait.
func TestOpenLoopSeesAStall(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		const stall = 300 * time.Millisecond
		var requests atomic.Int64
		l := one(queue{before: func(string) {
			if requests.Add(1) == 20 {
				<-time.After(stall)
			}
		}}.serve(t), memcache{}, "hello", loop)
		l.depth, l.count, l.rate = 4, 1000, 2000
		r := run(t, l)
		if r.answered() != 1000 {
			t.Errorf("got %d requests counted, want 1000", r.answered())
		}
		// 600 requests are due during the stall. The first tenth of them waits nine tenths of it.
		if p := percentile99(r); p < stall*9/10 {
			t.Errorf("got a 99th percentile of %v, want that of a stall of %v", p, stall)
		}
	})
}

// A closed loop sends nothing during a stall, so only the few requests in flight are slow.
func TestClosedLoopOmitsAStallThatAnOpenLoopSees(t *testing.T) {
	const stall = 300 * time.Millisecond
	if p := percentile99(stalled(t, load{rate: 2000}, stall)); p < stall*9/10 {
		t.Errorf("open loop: got a 99th percentile of %v, want that of a stall of %v", p, stall)
	}
	if p := percentile99(stalled(t, load{}, stall)); p >= stall {
		t.Errorf("closed loop: got a 99th percentile of %v, want less than the stall of %v", p,
			stall)
	}
}

// stalled runs a load of one session in steps of its own time. Each answer takes 0.1 ms, and the
// 20th is late by stall.
func stalled(t *testing.T, l load, stall time.Duration) result {
	t.Helper()
	l.dialect, l.queue, l.items = memcache{}, "q", newItems([]byte("hello"), 5)
	l.conns, l.depth, l.count = 1, 4, 1000
	m := l.meter(l.requests(), 0, 1)
	s := m.session(0)
	now := int64(0)
	for answers := 0; !s.finished(); {
		for s.ask(now) {
			s.wrote(len(s.pending()))
		}
		if s.unanswered == 0 {
			now = max(now, s.next())
			continue
		}
		now += int64(100 * time.Microsecond)
		if answers++; answers == 20 {
			now += int64(stall)
		}
		answer := "STORED\r\n"
		if s.inFlight[s.first].kind == get {
			answer = "VALUE q 0 5\r\nhello\r\nEND\r\n"
		}
		if err := s.receive([]byte(answer), now); err != nil {
			t.Fatal(err)
		}
	}
	return m.result
}

func percentile99(r result) time.Duration {
	r.set.Merge(r.get)
	return time.Duration(r.set.ValueAtQuantile(99))
}

// No request is in flight whose answer would wake the connection up.
func TestARequestThatHasJustBecomeDueIsSentAtOnce(t *testing.T) {
	l := load{dialect: memcache{}, queue: "q", items: newItems(random(64), 64), conns: 1, depth: 4,
		count: 10, rate: 1000}
	m := l.meter(l.requests(), 0, 1)
	loop := &portableLoop{meter: m, began: time.Now().Add(-time.Minute)}
	p := &peer{session: m.session(0), wake: make(chan struct{}, 1)}
	if err := loop.wait(t.Context(), p, p.next()); err != nil {
		t.Error(err)
	}
	p.ask(loop.now())
	if next := p.next(); next < int64(time.Hour) {
		t.Errorf("with %d in flight: got the next request at %v, want none", p.unanswered,
			time.Duration(next))
	}
}

func TestItemsAreThePayloadOverAndOver(t *testing.T) {
	for _, c := range []struct {
		payload string
		size    int
		want    string
	}{
		{"abcdef", 2, "[ab cd ef]"}, {"abcde", 2, "[ab cd ea]"}, {"abc", 7, "[abcabca]"},
		{"abc", 0, "[]"}, {"abc", 3, "[abc]"},
	} {
		if got := fmt.Sprintf("%s", newItems([]byte(c.payload), c.size).all); got != c.want {
			t.Errorf("%s in items of %d: got %s, want %s", c.payload, c.size, got, c.want)
		}
	}
	if n := len(newItems(make([]byte, 1<<20), 1).all); n != maxItems {
		t.Errorf("a long payload: got %d items, want %d", n, maxItems)
	}
}
