package queue

// Queues that nobody uses: what expired leaves, and what they hold in vain comes back.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// sweeping has the sweeper come by at once, and segments large enough to be worth giving back.
func sweeping(fs *disktest.FS) Options {
	o := small()
	o.Log.FS, o.Log.SegmentSize = fs, 2<<20
	o.Sweep = time.Millisecond
	return o
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

// seen is what the queue knows of itself, when nobody asks: Stats drops what has expired on the way.
func (q *Queue) seen() (s Stats, loaded bool) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if q.snapshot != nil {
		s = q.snapshot.stats()
	}
	s.Expired = q.counts.expired
	return s, q.store.log != nil
}

const expiring = 5000 // items: 700 KB

func TestExpiredItemsLeaveAQueueThatNobodyReads(t *testing.T) {
	fs := disktest.New()
	q := named(t, open(t, "data", sweeping(fs)), "work")
	putExpiring(t, q, expiring, time.Now().UnixMilli()+20)
	put(t, q, "stays")
	eventually(t, "the items to leave", func() bool {
		s, loaded := q.seen()
		return s.Expired == expiring && loaded
	})
	if s := q.Stats(); s.Items != 1 || s.Expired != expiring {
		t.Fatalf("%+v", s)
	}
	wants(t, q, "stays")
}

func TestExpiredItemsLeaveAParkedQueueAndItsDiskComesBack(t *testing.T) {
	fs := disktest.New()
	r := open(t, "data", sweeping(fs))
	q := named(t, r, "work")
	expires := time.Now().UnixMilli() + 300
	putExpiring(t, q, expiring, expires)
	eventually(t, "parking", func() bool { return q.store.park(1 << 60) })
	if s, _ := q.seen(); s.Items < expiring && time.Now().UnixMilli() < expires {
		t.Fatalf("before they expire: %+v", s)
	}
	eventually(t, "the items to leave and the queue to be parked again", func() bool {
		s, loaded := q.seen()
		return s.Items == 0 && s.Expired == expiring && !loaded && r.Totals().Loaded == 0
	})
	if s := q.Stats(); s.LogSize > 32<<10 || s.TotalItems != expiring {
		t.Fatalf("%+v", s)
	}
}

func TestExpiredItemsLeaveAQueueThatWasNotOpenedSinceTheStart(t *testing.T) {
	fs := disktest.New()
	o := sweeping(fs)
	o.Sweep = time.Hour
	q := named(t, open(t, "data", o), "work")
	expires := time.Now().UnixMilli() + 20
	putExpiring(t, q, expiring, expires)
	put(t, q, "stays")
	image := fs.Clone() // a kill
	eventually(t, "them to expire", func() bool { return time.Now().UnixMilli() > expires })
	r := open(t, "data", sweeping(image))
	q = named(t, r, "work")
	eventually(t, "the items to leave", func() bool {
		s, loaded := q.seen()
		return s.Items == 1 && s.Expired == expiring && !loaded
	})
	wants(t, q, "stays")
}

func TestQueuesThatWereEmptiedBeforeACrashGiveTheirSpaceBackAtTheStart(t *testing.T) {
	const queues = 3
	for _, left := range []int{0, 2} {
		t.Run(fmt.Sprint(left, " left"), func(t *testing.T) {
			fs := disktest.New()
			o := sweeping(fs)
			o.Sweep = time.Hour
			r := open(t, "data", o)
			for i := range queues {
				q := named(t, r, fmt.Sprint("q", i))
				putExpiring(t, q, expiring, 0)
				for range expiring - left - 1 {
					take(t, q)
				}
			}
			for i := range queues { // a second before the running server would give it back
				take(t, named(t, r, fmt.Sprint("q", i)))
			}
			image := fs.Clone() // a kill
			if n := image.Used(); n < queues*700<<10 {
				t.Fatalf("%d bytes after the kill: this test shows nothing", n)
			}
			r = open(t, "data", sweeping(image))
			eventually(t, "the space to come back", func() bool { return image.Used() < queues*32<<10+DefaultReserve && r.Totals().Loaded == 0 })
			for i := range queues {
				if s := named(t, r, fmt.Sprint("q", i)).Stats(); s.Items != int64(left) || s.TotalItems != expiring {
					t.Fatalf("%+v", s)
				}
			}
		})
	}
}

// A start that finds nothing to do opens no queue for writing, and writes nothing.
func TestAStartThatFindsNothingInVainWritesNothing(t *testing.T) {
	fs := disktest.New()
	r := open(t, "data", sweeping(fs))
	for i := range 20 {
		put(t, named(t, r, fmt.Sprint("q", i)), "a", "b")
	}
	r.Close()
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		switch op {
		case disktest.OpReadDir, disktest.OpRead, disktest.OpSize, disktest.OpMap, disktest.OpOpen, disktest.OpLock:
		default:
			if strings.Contains(name, "/q") {
				t.Errorf("%s of %s", op, name)
			}
		}
		return nil
	})
	r = open(t, "data", sweeping(fs))
	for i := range 20 {
		q := named(t, r, fmt.Sprint("q", i))
		eventually(t, "a look at the queue", func() bool {
			s, known := q.Known()
			return known && s.Items == 2
		})
	}
	if n := r.Totals().Loaded; n != 0 {
		t.Errorf("%d queues are loaded", n)
	}
	fs.Fail(nil)
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
		if s.Items != 2 || s.Bytes != 3 || s.TotalItems != 3 || s.Segments != 1 || s.Created == 0 || s.LogSize == 0 || s.Failed != "" {
			t.Errorf("%s: %+v", how, s)
		}
		if loaded(q) {
			t.Errorf("%s: it is loaded", how)
		}
	}
}

// Nothing is loaded, nothing expires: the sweeper sleeps.
func TestTheSweeperSleepsWhileThereIsNothingToDo(t *testing.T) {
	fs := disktest.New()
	o := sweeping(fs)
	o.Idle = time.Millisecond
	r := open(t, "data", o)
	put(t, named(t, r, "work"), "a")
	eventually(t, "parking", func() bool { return r.Totals().Loaded == 0 })
	eventually(t, "the last round", func() bool {
		before := r.clock.Load() // goes on at each
		quiet := time.After(50 * o.Sweep)
		<-quiet
		return r.clock.Load() == before
	})
}
