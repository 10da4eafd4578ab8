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
		l := load{address: addr, dialect: memcache{}, queue: "q", items: newItems(random(1000), 64), conns: 3, depth: 4, loop: loop}
		l.count = 1000
		l.mix = sets
		r := run(t, l)
		if n := requests.Load(); r.set.TotalCount() != 1000 || r.get.TotalCount() != 0 || n != 1000 || r.elapsed <= 0 {
			t.Errorf("%d sets and %d gets counted of 1000 sets, the server saw %d, in %v", r.set.TotalCount(), r.get.TotalCount(), n, r.elapsed)
		}
		l.mix, l.count, l.duration = pairs, 0, 50*time.Millisecond
		requests.Store(0)
		r = run(t, l)
		if n := requests.Load(); r.answered() != n || r.set.TotalCount() != r.get.TotalCount() || n < 6 {
			t.Errorf("%d sets and %d gets in turn, the server saw %d", r.set.TotalCount(), r.get.TotalCount(), n)
		}
		l.duration = 1 // over before it begins
		if r = run(t, l); r.answered() < 6 {
			t.Errorf("%d requests of 3 connections that ask once at least", r.answered())
		}
		l.mix, l.count, l.duration = gets, 1000, 0
		if r = run(t, l); r.get.TotalCount() != 1000 {
			t.Errorf("%d gets of what the sets had left", r.get.TotalCount())
		}
		if _, err := l.run(t.Context()); err == nil || !strings.Contains(err.Error(), `asked "get q\r\n", got "END\r\n"`) {
			t.Errorf("a get of an empty queue: %v", err)
		}
		l.mix, l.count = drain, 0
		if r = run(t, l); r.answered() != 0 {
			t.Errorf("%d answers of an empty queue counted", r.answered())
		}
	})
}

// An answer may come in pieces, of one byte at worst.
func TestLoadTakesAnswersInPieces(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		for _, c := range []struct {
			dialect dialect
			hello   int // answers to the hello; the others come twice
			answers []string
		}{
			{memcache{}, 0, []string{"", "STORED\r\n", "VALUE q 0 5\r\nhello\r\nEND\r\n"}},
			{redis{}, 0, []string{"", "", "", "", "", "", ":17\r\n", "", "", "", "", "$5\r\nhello\r\n"}},
			{beanstalkd{}, 3, []string{"", "", "USING q\r\nWATCHING 2\r\nWATCHING 1\r\n", "", "INSERTED 3\r\n", "RESERVED 3 5\r\nhello\r\n", "DELETED\r\n"}},
		} {
			for i, a := range c.answers {
				c.answers[i] = strings.Join(strings.Split(a, ""), "|")
			}
			l := one(script(t, slices.Concat(c.answers, c.answers[c.hello:])...), c.dialect, "hello", loop)
			l.count = 4
			r := run(t, l)
			if r.set.TotalCount() != 2 || r.answered() != 4 {
				t.Errorf("%T: %d sets of %d requests", c.dialect, r.set.TotalCount(), r.answered())
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
			{beanstalkd{}, []string{"INSERTED 1\r\n", "RESERVED 1 5\r\nhello\r\n", "NOT_FOUND\r\n"}, "NOT_FOUND"},
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
				lines = append([]string{"", "", "USING q\r\nWATCHING 2\r\nWATCHING 1\r\n", "", c.answers[0]}, c.answers[1:]...)
			}
			l := one(script(t, lines...), c.dialect, "hello", loop)
			l.count = 4
			if _, err := l.run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%T answered %q: %v", c.dialect, c.answers, err)
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
			t.Error(err)
		}
	})
}

// Items larger than any buffer, many in flight: neither side may wait for the other.
func TestLargeItemsComeBackWhole(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		l := load{address: queue{}.serve(t), dialect: memcache{}, queue: "q", items: newItems(random(3<<20), 2<<20), conns: 2, depth: 4, count: 8, loop: loop}
		if r := run(t, l); r.answered() < 8 {
			t.Errorf("%d answers", r.answered())
		}
	})
}

// A server that stalls once keeps everybody waiting whose request is due meanwhile. A closed loop
// asks nothing meanwhile and so sees a few slow requests.
func TestOpenLoopSeesAStallThatAClosedLoopOmits(t *testing.T) {
	onLoops(t, func(t *testing.T, loop func(*meter) loop) {
		const stall = 300 * time.Millisecond
		p99 := func(l load) time.Duration {
			var requests atomic.Int64
			l.address = queue{before: func(string) {
				if requests.Add(1) == 20 {
					<-time.After(stall)
				}
			}}.serve(t)
			l.dialect, l.queue, l.items, l.conns, l.depth, l.count, l.loop = memcache{}, "q", newItems(random(64), 64), 1, 4, 1000, loop
			r := run(t, l)
			if r.answered() != 1000 {
				t.Errorf("%d of 1000 requests counted", r.answered())
			}
			r.set.Merge(r.get)
			return time.Duration(r.set.ValueAtQuantile(99))
		}
		if p := p99(load{rate: 2000}); p < stall*9/10 { // the first tenth of the 600 due meanwhile waited so long
			t.Errorf("open loop: 99%% of the requests took at most %v in spite of a stall of %v", p, stall)
		}
		if p := p99(load{}); p >= stall { // 4 of 1000 did
			t.Errorf("closed loop: 1%% of the requests took %v, though only those in flight can have waited for %v", p, stall)
		}
	})
}

// Nothing is in flight whose answer would wake the connection up.
func TestARequestThatHasJustBecomeDueIsAskedAtOnce(t *testing.T) {
	l := load{dialect: memcache{}, queue: "q", items: newItems(random(64), 64), conns: 1, depth: 4, count: 10, rate: 1000}
	m := l.meter(l.requests(), 0, 1)
	loop := &portableLoop{meter: m, began: time.Now().Add(-time.Minute)}
	p := &peer{session: m.session(0), wake: make(chan struct{}, 1)}
	if err := loop.wait(t.Context(), p, p.next()); err != nil {
		t.Error(err)
	}
	p.ask(loop.now())
	if next := p.next(); next < int64(time.Hour) {
		t.Errorf("with %d in flight something is to be asked at %v", p.asked, time.Duration(next))
	}
}

func TestItemsAreThePayloadOverAndOver(t *testing.T) {
	for _, c := range []struct {
		payload string
		size    int
		want    string
	}{
		{"abcdef", 2, "[ab cd ef]"}, {"abcde", 2, "[ab cd ea]"}, {"abc", 7, "[abcabca]"}, {"abc", 0, "[]"}, {"abc", 3, "[abc]"},
	} {
		if got := fmt.Sprintf("%s", newItems([]byte(c.payload), c.size).all); got != c.want {
			t.Errorf("%s in items of %d: %s, want %s", c.payload, c.size, got, c.want)
		}
	}
	if n := len(newItems(make([]byte, 1<<20), 1).all); n != maxItems {
		t.Errorf("%d items of a long payload", n)
	}
}
