package queue

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

const testSegment = 128 << 10

// bounded opens a registry in memory.
func bounded(t *testing.T, fsys *disktest.FS, change func(*Options)) *Registry {
	t.Helper()
	o := timed()
	o.Log.FS, o.Log.SegmentSize, o.Log.InlineMax = fsys, testSegment, 16<<10
	o.Log.Cold = &wal.Cold{} // what compresses would find room again
	change(&o)
	return open(t, "/data", o)
}

// eachQueue has all queues bounded alike.
func eachQueue(s Settings) func(*Options) {
	return func(o *Options) { o.Settings = func(string) *Settings { return &s } }
}

// putPatiently puts a numbered item of some size, as a session does; a large one is streamed.
func putPatiently(q *Queue, n, size int) error {
	body := []byte(fmt.Sprintf("%d %s", n, strings.Repeat("x", size)))
	if len(body) > 16<<10 {
		u, err := q.BeginLarge(int64(len(body)), wal.Meta{})
		if err != nil {
			return err
		}
		if _, err := u.Write(body); err != nil {
			u.Abort()
			return err
		}
		return u.Commit()
	}
	err := q.Put(body, wal.Meta{})
	for tries := 0; errors.Is(err, ErrDiscardOldest) && tries < 8; tries++ {
		if err = q.DiscardOldest(err); err == nil {
			err = q.Put(body, wal.Meta{})
		}
	}
	return err
}

// numberOf reads an item back.
func numberOf(t testing.TB, q *Queue, it Item) int {
	t.Helper()
	var b []byte
	var err error
	if it.Large() {
		var r io.ReadCloser
		if r, err = q.Open(it); err == nil {
			b, err = io.ReadAll(r)
			r.Close()
		}
	} else {
		b, err = q.Read(it, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(b), " ")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func fillQueue(t testing.TB, q *Queue, size int) (n int, refused error) {
	t.Helper()
	for ; n < 100_000; n++ {
		if err := putPatiently(q, n, size); err != nil {
			return n, err
		}
	}
	t.Fatal("got no refusal, want one at the bound")
	return 0, nil
}

func takeN(t testing.TB, q *Queue, n int) {
	t.Helper()
	for range n {
		if err := q.Confirm(fetch(t, q)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAQueueAtItsLimitRefusesUntilItemsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1 << 20
		r := bounded(t, disktest.New(), eachQueue(Settings{MaxDisk: limit}))
		q := named(t, r, "work")
		for _, size := range []int{1000, 40_000} {
			n, err := fillQueue(t, q, size)
			if !errors.Is(err, ErrLimit) || !errors.Is(err, wal.ErrFull) ||
				errors.Is(err, ErrDiscardOldest) || !strings.Contains(err.Error(), "max-disk") {
				t.Fatalf("got refusal %v, want ErrLimit that names max-disk", err)
			}
			const over = 64 << 10 // what does not ask: an index, an offset file
			used := q.Stats().LogSize
			if used > limit+over || used < limit*3/4 || n*size < limit*3/4 {
				t.Fatalf("got %d items of %d bytes in %d bytes, want about %d", n, size, used, limit)
			}
			put(t, named(t, r, "other"), "x") // each has its own
			takeN(t, q, n/2)
			eventually(t, "room for items", func() bool { return putPatiently(q, 0, size) == nil })
			if used := q.Stats().LogSize; used > limit+over {
				t.Fatalf("got %d bytes in use, want %d at most", used, limit)
			}
			if err := q.Flush(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "its space", func() bool { return q.Stats().LogSize < 2*testSegment })
		}
	})
}

func TestTheDataDirectorysLimitIsForAllQueuesAndKeepsSomeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 8 << 20
		r := bounded(t, disktest.New(), func(o *Options) { o.MaxDisk = limit })
		a, b := named(t, r, "a"), named(t, r, "b")
		n, err := fillQueue(t, a, 10_000)
		if !errors.Is(err, wal.ErrFull) || errors.Is(err, ErrLimit) ||
			!strings.Contains(err.Error(), "data directory") {
			t.Fatalf("got refusal %v, want ErrFull that names the data directory", err)
		}
		for putPatiently(b, 0, 10_000) == nil { // sealing and compaction may have freed space since
			if err := b.Delete(); err != nil {
				t.Fatal(err)
			}
			if _, err := fillQueue(t, a, 10_000); err == nil {
				t.Fatal("got no refusal, want one at the bound")
			}
			b = named(t, r, "b")
		}
		if b.Exists() {
			t.Error("got a queue of a refused item, want none")
		}
		used, bound := r.Disk()
		most := limit - r.budget.bounds.Load().reserved/2 // offset files and indexes do not ask
		if bound != limit || used > most || used < limit/2 {
			t.Fatalf("got %d bytes in use of %d, want %d to %d of %d", used, bound, limit/2, most, limit)
		}
		takeN(t, a, n/2)
		eventually(t, "room in another queue", func() bool { return putPatiently(b, 0, 10_000) == nil })
		if err := a.Delete(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the space of a deleted queue", func() bool {
			used, _ := r.Disk()
			return used < limit/4
		})
	})
}

func TestSomeOfTheFileSystemIsLeftFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const free = 1 << 20
		fsys := disktest.New()
		fsys.SetCapacity(4 << 20)
		r := bounded(t, fsys, func(o *Options) { o.MinFree = free })
		q := named(t, r, "work")
		n, err := fillQueue(t, q, 10_000)
		if !errors.Is(err, wal.ErrFull) || errors.Is(err, ErrLimit) ||
			!strings.Contains(err.Error(), "min-free") {
			t.Fatalf("got refusal %v, want ErrFull that names min-free", err)
		}
		const over = 64 << 10 // what does not ask: an index, an offset file
		if left, _ := fsys.Free(""); left < free-over || left > 2*free {
			t.Errorf("got %d bytes left, want about %d", left, free)
		}
		takeN(t, q, n/2)
		eventually(t, "room for items", func() bool { return putPatiently(q, 0, 10_000) == nil })
		check := func(capacity int64, stored bool) {
			t.Helper()
			fsys.SetCapacity(capacity) // others fill or clear the disk
			eventually(t, "the change to be noticed", func() bool {
				return (putPatiently(q, 0, 60_000) == nil) == stored
			})
		}
		check(fsys.Used()+free/2, false)
		check(32<<20, true)
	})
}

func TestBoundsOfAllQueuesMayChange(t *testing.T) {
	r := bounded(t, disktest.New(), func(o *Options) { o.MaxDisk = 1 << 20 })
	q, _ := r.Queue([]byte("q"))
	n := 0
	for ; putPatiently(q, n, 1000) == nil; n++ {
	}
	err := putPatiently(q, n, 1000)
	if n == 0 || err == nil || !strings.Contains(err.Error(), "limit of 1048576 bytes") {
		t.Fatalf("got %v after %d items, want the bound", err, n)
	}
	r.SetBounds(2<<20, 0)
	if err := putPatiently(q, n, 1000); err != nil {
		t.Errorf("got %v below a higher bound", err)
	}
	if _, limit := r.Disk(); limit != 2<<20 {
		t.Errorf("got the bound %d, want the new one", limit)
	}
	r.SetBounds(0, 1<<63-1)
	for n = 0; err == nil && n < 10_000; n++ {
		err = putPatiently(q, n, 1000)
	}
	if err = putPatiently(q, n, 100<<10); err == nil || !strings.Contains(err.Error(), "min-free") {
		t.Errorf("got %v, want that so much is to stay free", err)
	}
}

func TestTheKernelIsAskedForFreeSpaceRarely(t *testing.T) {
	const stale = 1 << 40
	c := clocktest.New(time.UnixMilli(today))
	r := bounded(t, disktest.New(), func(*Options) {})
	b := &budget{clock: c, usage: r.usage, free: stale, asked: true}
	check := func(asked bool, when string) {
		t.Helper()
		b.leavesFree(1, 1000)
		if got := b.free != stale; got != asked {
			t.Errorf("%s: asked %v, want %v", when, got, asked)
		}
		b.free = stale
	}
	c.Step(askEvery)
	check(false, "within a second")
	c.Step(1)
	check(true, "after a second")
	check(false, "at once again")
	b.total = -askBytes - 1
	check(true, "after some megabytes")
}

func TestTheOldestItemsMakeRoom(t *testing.T) {
	const limit, offsets = 1 << 20, 64 << 10 // what is taken is noted over the limit
	for _, size := range []int{100, 1000, 10_000, 40_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bounded(t, disktest.New(), eachQueue(Settings{MaxDisk: limit, Discard: true}))
				q := named(t, r, "work")
				n := 4 * limit / size
				for i := range n {
					if err := putPatiently(q, i, size); err != nil {
						t.Fatalf("item %d: got %v, want it stored", i, err)
					}
					if used := r.usage.Used(q.store.dir()); used > limit+offsets {
						t.Fatalf("got %d bytes in use, want %d at most", used, limit)
					}
				}
				s := q.Stats()
				left, gone := int(s.Items), int(s.DiscardedFull)
				if gone == 0 || s.DiscardedFlushed != 0 || left != n-gone ||
					left*(size+recordBytes) < limit/2 {
					t.Fatalf("got %d items and %d discarded of %d, want half of the bound used", left, gone, n)
				}
				for i := gone; i < n; i++ {
					it := fetch(t, q)
					if got := numberOf(t, q, it); got != i {
						t.Fatalf("got item %d, want %d", got, i)
					}
					if err := q.Confirm(it); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}

func TestOldItemsMakeRoomAtTheDataDirectorysLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bounded(t, disktest.New(), func(o *Options) {
			o.MaxDisk = 4 << 20
			o.Settings = func(name string) *Settings { return &Settings{Discard: name == "new"} }
		})
		old, young := named(t, r, "old"), named(t, r, "new")
		// Its own share of the disk: what others take without asking may not leave a segment.
		for i := range 400 {
			if err := putPatiently(young, i, 1000); err != nil {
				t.Fatal(err)
			}
		}
		n, _ := fillQueue(t, old, 1000)
		for i := range 1000 {
			if err := putPatiently(young, i, 1000); err != nil {
				t.Fatalf("item %d: got %v, want it stored", i, err)
			}
		}
		if s := old.Stats(); int(s.Items) != n || s.DiscardedFull != 0 {
			t.Errorf("got %d items in the other queue, want %d", s.Items, n)
		}
		var err error
		for i := 0; err == nil && i < 40; i++ { // the last discarded item may have left some room
			err = putPatiently(old, n+i, 100_000)
		}
		if err == nil || errors.Is(err, ErrDiscardOldest) {
			t.Errorf("got refusal %v of the other queue, want a final one", err)
		}
	})
}

func TestAnItemLargerThanTheBoundCostsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bounded(t, disktest.New(), eachQueue(Settings{MaxDisk: 1 << 20, Discard: true}))
		q := named(t, r, "work")
		for i := range 100 {
			if err := putPatiently(q, i, 1000); err != nil {
				t.Fatal(err)
			}
		}
		if err := putPatiently(q, 0, 1<<20); !errors.Is(err, ErrLimit) {
			t.Errorf("got %v, want ErrLimit", err)
		}
		if s := q.Stats(); s.Items != 100 || s.DiscardedFull != 0 {
			t.Errorf("got %d items and %d discarded, want 100 and none", s.Items, s.DiscardedFull)
		}
	})
}

// An open item keeps its segment. Later items can be discarded, as long as that frees anything.
func TestAnItemThatStaysOpenDoesNotCostTheWholeQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1 << 20
		r := bounded(t, disktest.New(), eachQueue(Settings{MaxDisk: limit, Discard: true}))
		q := named(t, r, "work")
		if err := putPatiently(q, 0, 1000); err != nil {
			t.Fatal(err)
		}
		stuck := fetch(t, q)
		stored, refused := 1, 0
		for i := 1; i < 4*limit/1000; i++ {
			switch err := putPatiently(q, i, 1000); {
			case err == nil:
				stored++
			case errors.Is(err, ErrLimit):
				refused++
			default:
				t.Fatal(err)
			}
		}
		if lost := int(q.Stats().DiscardedFull); refused > stored/10 || stored-lost < limit/1000/4 {
			t.Errorf("got %d of %d items discarded and %d refused, want a quarter of the bound used",
				lost, stored, refused)
		}
		if got := numberOf(t, q, stuck); got != 0 {
			t.Errorf("got open item %d, want 0", got)
		}
		if err := q.Confirm(stuck); err != nil {
			t.Fatal(err)
		}
		for i := range 2 * limit / 1000 {
			if err := putPatiently(q, i, 1000); err != nil {
				t.Fatalf("item %d, with none open: got %v, want it stored", i, err)
			}
		}
	})
}

// walked is what a walk finds.
func walked(fsys disk.FS, dir string) int64 {
	total, _ := fsys.Allocated(dir)
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return -1
	}
	for _, e := range entries {
		if e.Dir {
			total += walked(fsys, filepath.Join(dir, e.Name))
		}
		total += e.Allocated
	}
	return total
}

func wantWalked(t *testing.T, r *Registry, fsys *disktest.FS, when string) {
	t.Helper()
	eventually(t, "figures that equal a walk "+when, func() bool {
		used, _ := r.Disk()
		same := used == walked(fsys, r.dir)
		r.Each(func(q *Queue) bool {
			same = same && q.Stats().LogSize == walked(fsys, q.store.dir())
			return same
		})
		return same
	})
}

func TestDiskUsageEqualsAWalkWhateverHappens(t *testing.T) {
	rounds := uint64(6)
	if testing.Short() {
		rounds = 2
	}
	for seed := range rounds {
		synctest.Test(t, func(t *testing.T) { usageOf(t, seed) })
	}
}

// usageOf does at random what can be done with three queues.
func usageOf(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 4))
	fsys := disktest.New()
	change := func(o *Options) {
		o.MaxDisk = 3 << 20
		o.Settings = func(name string) *Settings {
			return &Settings{MaxDisk: 1 << 20, Discard: name == "b"}
		}
	}
	r := bounded(t, fsys, change)
	open := map[*Queue][]Item{}
	for step := range 400 {
		q := named(t, r, string(rune('a'+rng.IntN(3))))
		switch n := rng.IntN(20); {
		case n < 9:
			putPatiently(q, step, rng.IntN(12_000)) // or it is refused
		case n < 11:
			putPatiently(q, step, 20_000+rng.IntN(100_000))
		case n < 16:
			it, ok, err := q.Fetch()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				continue
			}
			if open[q] = append(open[q], it); rng.IntN(2) == 0 {
				i := rng.IntN(len(open[q]))
				q.Confirm(open[q][i])
				open[q] = append(open[q][:i], open[q][i+1:]...)
			}
		case n < 17:
			for _, it := range open[q] {
				q.Return(it)
			}
			open[q] = nil
		case n < 18 && rng.IntN(4) == 0:
			q.Delete()
			open[q] = nil
		case n < 19 && rng.IntN(3) == 0:
			q.Flush()
		}
		if step%20 == 0 {
			wantWalked(t, r, fsys, fmt.Sprintf("after step %d of seed %d", step, seed))
		}
	}
	image := fsys.Clone()
	if seed%2 == 0 {
		image = fsys.Crash(rng)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantWalked(t, bounded(t, image, change), image, fmt.Sprintf("after the crash of seed %d", seed))
	if v := fsys.Violations(); len(v) > 0 {
		t.Fatalf("got violations %v, want none", v)
	}
}
