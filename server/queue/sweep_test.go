package queue

// Queues that nobody uses: what expired leaves, and space that they hold for nothing comes back.
// The tests run in bubbles, in which time passes at once.

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// sweeping has segments that are large enough to be worth giving back.
func sweeping(fs *disktest.FS) Options {
	o := timed()
	o.Log.FS, o.Log.SegmentSize = fs, 2<<20
	return o
}

// pass lets time pass in a bubble, and returns when all that it leads to is done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// putExpiring puts n items that expire at a time, Unix ms.
func putExpiring(t *testing.T, q *Queue, n int, at int64) {
	t.Helper()
	for i := range n {
		if err := q.Put(fmt.Appendf(nil, "%0100d", i), wal.Meta{Expires: at}); err != nil {
			t.Fatal(err)
		}
	}
}

// lastKnown is what the queue knows of itself when nobody asks: Stats would drop what has expired.
func (q *Queue) lastKnown() (s Stats, loaded bool) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if q.snapshot != nil {
		s = q.snapshot.stats()
	}
	s.Expired = q.lossesLocked().expired
	return s, q.store.log != nil
}

const expiring = 5000 // items: 700 KB

func in(d time.Duration) int64 { return time.Now().Add(d).UnixMilli() }

func TestExpiredItemsLeaveAQueueThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := named(t, open(t, "data", sweeping(disktest.New())), "work")
		putExpiring(t, q, expiring, in(time.Second))
		put(t, q, "stays")
		pass(2 * idleRound)
		if s, loaded := q.lastKnown(); s.Expired != expiring || !loaded {
			t.Errorf("got %d expired, loaded %v, want %d of a loaded queue", s.Expired, loaded, expiring)
		}
		if s := q.Stats(); s.Items != 1 || s.Expired != expiring {
			t.Errorf("got %+v, want 1 item and %d expired", s, expiring)
		}
		wants(t, q, "stays")
	})
}

func TestExpiredItemsLeaveAParkedQueueAndItsDiskComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, "data", sweeping(disktest.New()))
		q := named(t, r, "work")
		putExpiring(t, q, expiring, in(10*time.Second))
		park(t, q)
		pass(9 * time.Second)
		if s, loaded := q.lastKnown(); s.Items != expiring || loaded {
			t.Fatalf("before they expire: got %+v, loaded %v, want %d items", s, loaded, expiring)
		}
		pass(maxRound)
		s, loaded := q.lastKnown()
		if s.Items != 0 || s.Expired != expiring || loaded || r.Totals().Loaded != 0 {
			t.Fatalf("got %+v, loaded %v, want %d expired and a parked queue", s, loaded, expiring)
		}
		if s := q.Stats(); s.LogSize > 32<<10 || s.TotalItems != expiring {
			t.Errorf("got %d bytes and %d items in all, want some 32 KiB and %d", s.LogSize, s.TotalItems, expiring)
		}
	})
}

func TestExpiredItemsLeaveAQueueThatWasNotOpenedSinceTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := disktest.New()
		q := named(t, open(t, "data", sweeping(fs)), "work")
		putExpiring(t, q, expiring, in(20*time.Millisecond))
		put(t, q, "stays")
		image := fs.Clone() // a kill
		pass(time.Second)
		q = named(t, open(t, "data", sweeping(image)), "work")
		pass(maxRound)
		if s, loaded := q.lastKnown(); s.Items != 1 || s.Expired != expiring || loaded {
			t.Errorf("got %+v, loaded %v, want 1 item in a parked queue, and %d expired", s, loaded, expiring)
		}
		wants(t, q, "stays")
	})
}

func TestQueuesThatWereEmptiedBeforeACrashGiveTheirSpaceBackAtTheStart(t *testing.T) {
	for _, left := range []int{0, 2} {
		t.Run(fmt.Sprint(left, " left"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { emptiedBeforeACrash(t, left) })
		})
	}
}

func emptiedBeforeACrash(t *testing.T, left int) {
	const queues = 3
	fs := disktest.New()
	r := open(t, "data", sweeping(fs))
	for i := range queues {
		q := named(t, r, fmt.Sprint("q", i))
		putExpiring(t, q, expiring, 0)
		for range expiring - left {
			take(t, q)
		}
	}
	image := fs.Clone() // a kill, before any time passed in which the server would give it back
	if n := image.Used(); n < queues*700<<10 {
		t.Fatalf("got %d bytes after the kill: this test shows nothing", n)
	}
	r = open(t, "data", sweeping(image))
	pass(maxRound)
	if n := image.Used(); n > queues*32<<10+reserveBytes || r.Totals().Loaded != 0 {
		t.Errorf("got %d bytes and %d queues loaded, want the space back", n, r.Totals().Loaded)
	}
	for i := range queues {
		s := named(t, r, fmt.Sprint("q", i)).Stats()
		if s.Items != int64(left) || s.TotalItems != expiring {
			t.Errorf("got %+v, want %d items of %d", s, left, expiring)
		}
	}
}

// A start that finds nothing to do opens no queue for writing, and writes nothing.
func TestAStartThatFindsNothingToGiveBackWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := disktest.New()
		r := open(t, "data", sweeping(fs))
		for i := range 20 {
			put(t, named(t, r, fmt.Sprint("q", i)), "a", "b")
		}
		r.Close()
		fs.Fail(func(op disktest.Op, name string, _ int) error {
			switch op {
			case disktest.OpReadDir, disktest.OpRead, disktest.OpSize, disktest.OpMap,
				disktest.OpOpen, disktest.OpLock:
			default:
				if strings.Contains(name, "/q") {
					t.Errorf("got %s of %s, want nothing written", op, name)
				}
			}
			return nil
		})
		r = open(t, "data", sweeping(fs))
		pass(maxRound)
		for i := range 20 {
			if s, known := named(t, r, fmt.Sprint("q", i)).KnownStats(); !known || s.Items != 2 {
				t.Errorf("got %d items, known %v, want 2", s.Items, known)
			}
		}
		if n := r.Totals().Loaded; n != 0 {
			t.Errorf("got %d queues loaded, want none", n)
		}
		fs.Fail(nil)
	})
}

func TestStatsOfAQueueThatWasNotOpenedDoNotLoadIt(t *testing.T) {
	fs := disktest.New()
	r := open(t, "data", sweeping(fs))
	put(t, named(t, r, "work"), "a", "bc", "d")
	take(t, named(t, r, "work"))
	for how, image := range map[string]*disktest.FS{"killed": fs.Clone(), "closed": fs} {
		if how == "closed" {
			r.Close()
		}
		after := open(t, "data", sweeping(image))
		q := named(t, after, "work")
		s := q.Stats()
		if s.Items != 2 || s.Bytes != 3 || s.TotalItems != 3 || s.Segments != 1 ||
			s.Created == 0 || s.LogSize == 0 || s.Failed != "" {
			t.Errorf("%s: got %+v, want 2 items of 3, 3 bytes", how, s)
		}
		if loaded(q) {
			t.Errorf("%s: the queue is loaded, want it parked", how)
		}
	}
}

func TestTheSweeperSleepsWhileNothingIsLoadedAndNothingExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, "data", sweeping(disktest.New()))
		put(t, named(t, r, "work"), "a")
		pass(2 * idleTime)
		if n := r.Totals().Loaded; n != 0 {
			t.Fatalf("got %d queues loaded, want the idle one parked", n)
		}
		before := r.tick.Load() // goes up at each round
		pass(24 * time.Hour)
		if n := r.tick.Load() - before; n != 0 {
			t.Errorf("got %d rounds in a day, want none", n)
		}
	})
}
