package queue

// Queues whose maps do not all fit into the addresses that there are.

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

// tight is a file system whose maps are refused when it says so. (One in memory would take as much
// memory as is mapped.)
type tight struct {
	disk.OS
	refuse func(name string) bool
}

type tightFile struct {
	disk.File
	name string
	fs   *tight
}

func (t *tight) Create(name string) (disk.File, error)   { return t.wrap(t.OS.Create, name) }
func (t *tight) Open(name string) (disk.File, error)     { return t.wrap(t.OS.Open, name) }
func (t *tight) OpenRead(name string) (disk.File, error) { return t.wrap(t.OS.OpenRead, name) }

func (t *tight) wrap(open func(string) (disk.File, error), name string) (disk.File, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	return tightFile{f, name, t}, nil
}

func (f tightFile) Map(n int, writable bool) ([]byte, error) {
	if f.fs.refuse(f.name) {
		return nil, syscall.ENOMEM
	}
	return f.File.Map(n, writable)
}

func TestAMapThatIsRefusedParksOtherQueuesAndIsTriedAgain(t *testing.T) {
	var crowded, refused atomic.Int32 // queues loaded beyond which maps are refused; how many were
	crowded.Store(math.MaxInt32)
	var r *Registry
	o := small()
	o.Log.FS = &tight{refuse: func(name string) bool {
		no := filepath.Base(filepath.Dir(name)) == "busy" && r.Totals().Loaded > int(crowded.Load())
		if no {
			refused.Add(1)
		}
		return no
	}}
	r = open(t, t.TempDir(), o)
	hold := func() { // else segments may be made, opened or compacted before maps are refused
		_, release := r.background.Hold()
		t.Cleanup(release)
	}
	hold()
	busy := named(t, r, "busy")
	want := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", 10_000)) }
	const items = 40 // some six segments
	whenTight := func(do func()) {
		t.Helper()
		for i := range 8 {
			put(t, named(t, r, fmt.Sprint("idle", i)), "x")
		}
		refused.Store(0)
		crowded.Store(5)
		do()
		crowded.Store(math.MaxInt32)
		if refused.Load() == 0 {
			t.Error("got no refused map, want one or more")
		}
	}
	put(t, busy, want(0))
	whenTight(func() {
		for i := 1; i < items; i++ {
			put(t, busy, want(i))
		}
	})
	r = reopen(t, r)
	hold()
	busy = named(t, r, "busy")
	if err := busy.Load(); err != nil {
		t.Fatal(err)
	}
	whenTight(func() {
		for i := range items {
			if got := take(t, busy); got != want(i) {
				t.Fatalf("got item %.20q, want %.20q", got, want(i))
			}
		}
	})
	if err := busy.store.log.Err(); err != nil {
		t.Error(err)
	}
}

func TestTheOneQueueThatCanBeParkedIsFoundAmongManyThatCannot(t *testing.T) {
	const inUse = 300
	var r *Registry
	o := small()
	o.Log.FS = &tight{refuse: func(string) bool { return r != nil && r.Totals().Loaded > inUse+1 }}
	r = open(t, t.TempDir(), o)
	for i := range inUse {
		q := named(t, r, fmt.Sprint("held", i))
		put(t, q, "x")
		fetch(t, q)
	}
	put(t, named(t, r, "idle0"), "x")
	for i := 1; i < 6; i++ {
		put(t, named(t, r, fmt.Sprint("idle", i)), "x")
	}
}

// With 32 bits for real, as under .ci/emulated: maps of 64 MiB for each of many queues.
func TestManyQueuesAreServedWith32Bits(t *testing.T) {
	if strconv.IntSize != 32 {
		t.Skip("this process has addresses enough")
	}
	const queues = 60
	o := small()
	o.Log.SegmentSize = 64 << 20
	r := open(t, t.TempDir(), o)
	for i := range queues {
		put(t, named(t, r, fmt.Sprint(i)), "first", "second")
	}
	if n := r.Totals().Loaded; n == queues {
		t.Errorf("got all %d queues loaded, want some parked for the maps of others", queues)
	}
	for i := range queues {
		wants(t, named(t, r, fmt.Sprint(i)), "first", "second")
	}

	// Queues that are in use cannot be parked. Then a set is refused, with a reason, and nothing
	// else.
	var held []Item
	var err error
	for i := 0; i < queues && err == nil; i++ {
		q := named(t, r, fmt.Sprint("held", i))
		if err = q.Put([]byte("x"), wal.Meta{}); err == nil {
			held = append(held, fetch(t, q))
		}
	}
	if !errors.Is(err, disk.ErrAddresses) || len(held) < 15 {
		t.Fatalf("got %v with %d queues in use, want ErrAddresses with 15 or more", err, len(held))
	}
	for i, it := range held {
		named(t, r, fmt.Sprint("held", i)).Return(it)
	}
	put(t, named(t, r, "more"), "x")
}
