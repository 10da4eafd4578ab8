package queue

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/clock/clocktest"
	"github.com/darner/darner/wal/datadir"
)

// machine has a clock that tests set. Times are in ms.
type machine struct {
	*clocktest.Clock
	slept atomic.Int64
}

const (
	second = int64(1000)
	hour   = 3600 * second
	day    = 24 * hour
	today  = int64(1_796_000_000_000) // in 2026
)

func newMachine(now int64) *machine { return &machine{Clock: clocktest.New(time.UnixMilli(now))} }

func (m *machine) now() int64     { return clock.UnixMilli(m) }
func (m *machine) pass(ms int64)  { m.Step(time.Duration(ms) * time.Millisecond) }
func (m *machine) set(now int64)  { m.SetDay(time.UnixMilli(now)) }
func (m *machine) sleep(ms int64) { m.set(m.now() + ms); m.slept.Add(ms) }

// boot is a start of the machine, whose steady time begins anew.
func (m *machine) boot(now int64) {
	m.Clock = clocktest.New(time.UnixMilli(now))
	m.slept.Store(0)
}

// start is a server on it.
func (m *machine) start(t *testing.T, dir string, log *slog.Logger) *Registry {
	t.Helper()
	o := small()
	o.Clock, o.asleep, o.Log.Logger = m.Clock, m.slept.Load, log
	return open(t, dir, o)
}

// putFor puts an item as a session does: with a lifetime in ms.
func (m *machine) putFor(t *testing.T, q *Queue, payload string, life int64) {
	t.Helper()
	now := q.store.reg.eras.now() // the transport looks at it when a request comes
	if err := q.Put([]byte(payload), wal.Meta{Enqueued: now, Expires: now + life}); err != nil {
		t.Fatal(err)
	}
}

// has tells what waits at the head, "" when nothing does.
func has(t *testing.T, q *Queue) string {
	t.Helper()
	it, ok, err := q.Peek()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return ""
	}
	b, err := q.Read(it, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (m *machine) want(t *testing.T, q *Queue, want string) {
	t.Helper()
	if got := has(t, q); got != want {
		t.Fatalf("at %s: got %q, want %q", stamp(m.now()), got, want)
	}
}

func TestALifetimeIsTheTimeThatPassesWhateverTheClockIsSetTo(t *testing.T) {
	for name, c := range map[string]struct{ from, to int64 }{
		"from 1970":        {5 * second, today},
		"two hours ahead":  {today, today + 2*hour},
		"two hours back":   {today, today - 2*hour},
		"to 1970":          {today, 5 * second},
		"by half a minute": {today, today + 30*second},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(c.from)
			q := named(t, m.start(t, t.TempDir(), slog.New(slog.DiscardHandler)), "work")
			m.putFor(t, q, "an hour", hour)
			m.pass(2 * second)
			m.set(c.to + 2*second)
			m.putFor(t, q, "a day", day)
			m.pass(hour - 3*second)
			m.want(t, q, "an hour")
			m.pass(2 * second)
			m.want(t, q, "a day")
			m.set(m.now() - 20*second)
			m.set(m.now() + 3*day)
			m.pass(23*hour - second)
			m.want(t, q, "a day")
			m.pass(4 * second)
			m.want(t, q, "")
			if n := q.Stats().Expired; n != 2 {
				t.Errorf("got %d expired, want 2", n)
			}
		})
	}
}

func TestAnExpiryThatIsATimeOfDayGoesByTheClock(t *testing.T) {
	m := newMachine(today)
	q := named(t, m.start(t, t.TempDir(), slog.New(slog.DiscardHandler)), "work")
	m1 := wal.Meta{Enqueued: today, Expires: today + hour, More: wal.FixedExpiry}
	if err := q.Put([]byte("a"), m1); err != nil {
		t.Fatal(err)
	}
	m.set(today - 5*day)
	m.pass(4 * day)
	m.want(t, q, "a")
	m.set(today + 2*hour)
	m.want(t, q, "")
}

func TestThatTheClockWasSetIsLoggedOnceAndDriftAndSleepAreNot(t *testing.T) {
	var log bytes.Buffer
	m := newMachine(today)
	q := named(t, m.start(t, t.TempDir(), slog.New(slog.NewTextHandler(&log, nil))), "work")
	m.putFor(t, q, "a", hour)
	m.set(m.now() + minStep - 1)
	m.want(t, q, "a")
	m.sleep(hour / 2)
	m.want(t, q, "a")
	if log.Len() != 0 {
		t.Fatalf("got log %s, want none", &log)
	}
	m.set(m.now() + 2*hour)
	for range 10 {
		m.want(t, q, "a")
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "by=2h0m") {
		t.Fatalf("got log %s, want one line with by=2h0m", text)
	}
	m.sleep(hour / 2)
	m.want(t, q, "")
}

// A request came before the clock was set, and its item is put after.
func TestAnItemOnItsWayWhenTheClockIsSetLivesAsLongAsItWasToLive(t *testing.T) {
	for name, to := range map[string]int64{"ahead": today, "back": 1000} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(today / 2)
			r := m.start(t, t.TempDir(), slog.New(slog.DiscardHandler))
			meta := wal.Meta{Enqueued: m.now(), Expires: m.now() + hour}
			u, err := named(t, r, "large").BeginLarge(3, meta)
			if err != nil {
				t.Fatal(err)
			}
			m.set(to)
			r.eras.now()
			if _, err = u.Write([]byte("abc")); err == nil {
				err = u.Commit()
			}
			if err == nil {
				err = named(t, r, "small").Put([]byte("a"), meta)
			}
			if err != nil {
				t.Fatal(err)
			}
			alive := func() (n int) {
				for _, name := range []string{"large", "small"} {
					if _, ok, _ := named(t, r, name).Peek(); ok {
						n++
					}
				}
				return n
			}
			m.pass(hour - second)
			if n := alive(); n != 2 {
				t.Fatalf("after an hour less a second: got %d items, want 2", n)
			}
			m.pass(2 * second)
			if n := alive(); n != 0 {
				t.Fatalf("after an hour: got %d items, want none", n)
			}
		})
	}
}

// keptStep waits until a step is written down.
func keptStep(t *testing.T, r *Registry) {
	t.Helper()
	r.eras.now()
	eventually(t, "history of the clock", func() bool {
		past, _, err := readStretches(r.fs, r.dir)
		return err == nil && fmt.Sprint(past) == fmt.Sprint(r.eras.history())
	})
}

func TestAStepAheadIsKnownAfterARestart(t *testing.T) {
	m, dir, quiet := newMachine(5*second), t.TempDir(), slog.New(slog.DiscardHandler)
	r := m.start(t, dir, quiet)
	q := named(t, r, "work")
	m.putFor(t, q, "an hour", hour)
	m.pass(2 * second)
	m.set(today)
	keptStep(t, r)
	m.putFor(t, q, "a day", day)
	m.pass(hour / 2)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	m.boot(today + hour/2 + 60*second)
	q = named(t, m.start(t, dir, quiet), "work")
	m.want(t, q, "an hour")
	m.pass(hour/2 - 70*second)
	m.want(t, q, "an hour")
	m.pass(20 * second)
	m.want(t, q, "a day")
	if age := q.Stats().Age; age < hour-second || age > hour+20*second {
		t.Errorf("got an age of %v, want about an hour", time.Duration(age)*time.Millisecond)
	}
}

// Whatever the clock says at a start, an item put before lives for the time that it has left, as
// far as is known.
func TestAClockThatStartsWrongAgainAndAgainDropsNothingEarly(t *testing.T) {
	m, dir, quiet := newMachine(5*second), t.TempDir(), slog.New(slog.DiscardHandler)
	for n := range 3 {
		r := m.start(t, dir, quiet)
		q := named(t, r, "work")
		m.pass(second)
		m.putFor(t, q, fmt.Sprint("wrong ", n), 30*day)
		m.pass(second)
		m.set(today + int64(n)*day)
		keptStep(t, r)
		m.putFor(t, q, fmt.Sprint("right ", n), 30*day)
		m.pass(hour)
		if items := q.Stats().Items; items != 2*int64(n+1) {
			t.Fatalf("run %d: got %d items, want %d", n, items, 2*(n+1))
		}
		m.want(t, q, "wrong 0")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		m.boot(5 * second)
	}
	q := named(t, m.start(t, dir, quiet), "work")
	m.pass(second)
	m.want(t, q, "wrong 0")
	m.set(today + 20*day)
	m.want(t, q, "wrong 0")
	m.pass(40 * day)
	m.want(t, q, "")
}

func TestTheHistoryOfTheClockIsBoundedAndDamageToItIsLogged(t *testing.T) {
	var log bytes.Buffer
	m, dir := newMachine(today), t.TempDir()
	r := m.start(t, dir, slog.New(slog.DiscardHandler))
	q := named(t, r, "work")
	for range 3 * maxEras {
		m.set(m.now() + hour)
		m.putFor(t, q, "x", hour)
	}
	keptStep(t, r)
	if n := len(q.store.marks); n > maxMarks {
		t.Errorf("got %d marks, want %d at most", n, maxMarks)
	}
	if n := len(r.eras.list); n > maxEras {
		t.Errorf("got %d eras, want %d at most", n, maxEras)
	}
	path := filepath.Join(dir, datadir.ClockName)
	text, err := os.ReadFile(path)
	if err != nil || bytes.Count(text, []byte("\n")) != maxStretches {
		t.Fatalf("got %d lines, %v, want %d", bytes.Count(text, []byte("\n")), err, maxStretches)
	}
	text[0] ^= 1
	if err := errors.Join(r.Close(), os.WriteFile(path, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	r = m.start(t, dir, slog.New(slog.NewTextHandler(&log, nil)))
	if n := len(r.eras.past); n != maxStretches-1 || !strings.Contains(log.String(), "lines=1") {
		t.Errorf("got %d stretches, log %s, want %d and one damaged line", n, &log, maxStretches-1)
	}
}

func TestTheAgeOfTheHeadDoesNotJumpWithTheClock(t *testing.T) {
	m := newMachine(5 * second)
	q := named(t, m.start(t, t.TempDir(), slog.New(slog.DiscardHandler)), "work")
	m.putFor(t, q, "a", hour)
	m.pass(2 * second)
	for _, parked := range []bool{false, true} {
		m.set(today)
		if parked {
			park(t, q)
			m.set(today + day)
		}
		if age := q.Stats().Age; age != 2*second {
			t.Errorf("parked %v: got an age of %d ms, want %d", parked, age, 2*second)
		}
	}
}

// It is put right after the start, or set wrong: only in the second case has it nothing to do with
// what was put before.
func TestAClockThatIsSetBackAfterARestartDropsNothingEarly(t *testing.T) {
	for name, c := range map[string]struct {
		boot, to int64
		left     int64 // of the hour, when it is set
	}{
		"two hours ahead at the start": {today + 2*hour, today + 10*second, hour - 10*second},
		"two hours back by mistake":    {today + hour/2, today - 3*hour/2, hour / 2},
	} {
		t.Run(name, func(t *testing.T) {
			m, dir, quiet := newMachine(today), t.TempDir(), slog.New(slog.DiscardHandler)
			r := m.start(t, dir, quiet)
			m.putFor(t, named(t, r, "work"), "an hour", hour)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			m.boot(c.boot)
			q := named(t, m.start(t, dir, quiet), "work")
			m.set(c.to)
			m.want(t, q, "an hour")
			m.pass(c.left - second)
			m.want(t, q, "an hour")
			m.pass(2 * second)
			m.want(t, q, "")
		})
	}
}

func TestNobodySeesHalfAStepOfTheClock(t *testing.T) {
	tries := 60_000
	if testing.Short() {
		tries = 2000
	}
	for name, step := range map[string]int64{"ahead": day, "back": -2 * hour} {
		t.Run(name, func(t *testing.T) {
			for range tries {
				m := newMachine(today)
				e := newEras(m.Clock, m.slept.Load)
				e.logger = slog.New(slog.DiscardHandler)
				s := newStore(&Registry{eras: e}, "work", true)
				s.marks = []eraMark{{0, 0}}
				it := Item{Expires: today + hour}
				begin, done := make(chan struct{}), make(chan bool)
				for range 2 {
					go func() {
						<-begin
						expired := false
						for range 20 {
							expired = s.own.hasExpiredLocked(it) || expired
						}
						done <- expired
					}()
				}
				close(begin)
				m.set(today + step)
				e.now()
				if a, b := <-done, <-done; a || b {
					t.Fatal("got an item that has expired, want an hour of its life to come")
				}
			}
		})
	}
}
