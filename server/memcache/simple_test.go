package memcache

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestAdministratorsCommands(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  []func(*testServer)
		allowed bool
	}{
		{"by default for all", []func(*testServer){remote}, true},
		{"local, asked from afar", []func(*testServer){remote, admin(AccessLocal)}, false},
		{"local, asked from here", []func(*testServer){admin(AccessLocal)}, true},
		{"all, asked from afar", []func(*testServer){remote, admin(AccessAll)}, true},
		{"off, asked from here", []func(*testServer){admin(AccessOff)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newServer(t, c.change...).dial()
			k.set("q", "a")
			for request, done := range map[string]string{
				"flush_all": "OK\r\n", "flush q": "END\r\n", "delete q": "DELETED\r\n",
			} {
				name, _, _ := strings.Cut(request, " ")
				got := k.ask("%s\r\n", request)
				refused := strings.HasPrefix(got, "CLIENT_ERROR "+name+" ")
				if c.allowed && got != done || !c.allowed && !refused {
					t.Errorf("%s: got %q, want it allowed: %v", request, got, c.allowed)
				}
			}
		})
	}
}

func TestFlushAllWithADelayIsLeftToTheServer(t *testing.T) {
	sv := newServer(t)
	sv.dial().expect("flush_all 7\r\nflush_all 1 noreply\r\nflush_all 99999999999999999\r\n", "OK\r\nOK\r\n")
	if f := sv.flushed; len(f) != 3 || f[0] != 7*time.Second || f[1] != time.Second || f[2] <= 0 {
		t.Errorf("got delays %v, want 7 s, 1 s and a long one", f)
	}
}

func TestExpiryFollowsMemcached(t *testing.T) {
	const now, month = 1_700_000_000_123, 30 * 24 * 60 * 60
	for _, c := range []struct {
		exptime, want int64
		fixed         bool
	}{
		{0, 0, false}, {-1, 1, true}, {1, now + 1000, false}, {month, now + month*1000, false},
		{month + 1, (month + 1) * 1000, true}, {1_800_000_000, 1_800_000_000_000, true},
	} {
		if got, fixed := expiry(c.exptime, now, month); got != c.want || fixed != c.fixed {
			t.Errorf("expiry(%d): got %d, %v, want %d, %v", c.exptime, got, fixed, c.want, c.fixed)
		}
	}
	if got, _ := expiry(1<<63-1, now, month); got <= now {
		t.Errorf("got %d for the end of time, want the future", got)
	}
}

func TestAStoppingServerDoesNotGoOverAllQueues(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.set("a", "x")
	c.set("b", "x")
	c.s.Drain()
	for _, request := range []string{"stats\r\n", "flush_all\r\n"} {
		got := c.ask("%s", request)
		if !strings.HasSuffix(got, serverError(errStopping)) || strings.Contains(got, "queue_b_") {
			t.Errorf("%s: got %s, want %v", request, got, errStopping)
		}
	}
	sv.dial().expect("get b\r\n", value("b", "x"))
}

// drainedInFlush begins the stop while the last queue is flushed.
type drainedInFlush struct {
	Registry
	s *Session
}

func (r drainedInFlush) FlushAll(context.Context) error {
	err := r.Registry.FlushAll(context.Background())
	r.s.Drain()
	return err
}

func TestAFlushOfAllQueuesThatEndsAfterTheStopBeganIsDone(t *testing.T) {
	sv := newServer(t)
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	sv.env.Registry = drainedInFlush{sv.env.Registry, s}
	_, out := s.Process([]byte("flush_all\r\n"), nil)
	s.Job()()
	if _, out = s.Process(nil, out); string(out) != "OK\r\n" {
		t.Errorf("got %q, want that all queues are flushed", out)
	}
	s.Close()
}
