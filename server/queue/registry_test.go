package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
	"github.com/darner/darner/wal/datadir"
)

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestADataDirectoryServesOneRegistry(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, small())
	_, err := OpenRegistry(dir, small())
	if !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v, want ErrLocked of %s", err, dir)
	}
	reopen(t, r)
}

func TestAnUnknownQueueLeavesNothingOnDisk(t *testing.T) {
	r := open(t, t.TempDir(), small())
	before := files(t, r.dir)
	q := named(t, r, "ghost")
	q.Fetch()
	q.Peek()
	q.Flush()
	q.Load()
	w, _ := waitIn(t, q)
	w.Stop()
	q.Stats()
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	if after := files(t, r.dir); q.Exists() || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Fatalf("got %v, exists %v, want %v as before", after, q.Exists(), before)
	}
}

func TestBadNamesHaveNoHandle(t *testing.T) {
	r := open(t, t.TempDir(), small())
	if _, err := r.Queue([]byte("../../etc/passwd")); !errors.Is(err, ErrName) {
		t.Fatal(err)
	}
}

func TestANameHasOneHandle(t *testing.T) {
	r := open(t, t.TempDir(), small())
	unknown := named(t, r, "a")
	if named(t, r, "a") != unknown {
		t.Fatal("got two handles of an unknown queue, want one")
	}
	put(t, unknown, "x")
	if named(t, r, "a") != unknown {
		t.Fatal("got another handle after the first put, want the same")
	}
	if err := unknown.Delete(); err != nil {
		t.Fatal(err)
	}
	if named(t, r, "a") != unknown {
		t.Fatal("got another handle after the delete, want the same")
	}
	runtime.KeepAlive(unknown)
}

func TestAskingForAMillionUnknownNamesKeepsNone(t *testing.T) {
	t.Parallel()
	r := open(t, t.TempDir(), small())
	names := 200_000
	if testing.Short() {
		names = 20_000
	}
	held := named(t, r, "held")
	for i := range names {
		named(t, r, fmt.Sprintf("name-%d", i)).Fetch()
		if i%10_000 == 0 {
			runtime.GC()
		}
	}
	if n := len(r.handles); n > 30_000 {
		t.Fatalf("got %d names kept, want 30,000 at most", n)
	}
	if named(t, r, "held") != held {
		t.Fatal("got another handle, want the one in use")
	}
}

func TestQueuesAreListedInTheOrderOfTheirNames(t *testing.T) {
	r := open(t, t.TempDir(), small())
	for _, name := range []string{"b", "..", "a", "a%b"} {
		put(t, named(t, r, name), "x")
	}
	named(t, r, "unknown")
	if err := os.Mkdir(filepath.Join(r.dir, "not a queue"), 0o755); err != nil {
		t.Fatal(err)
	}
	r = reopen(t, r)
	var names []string
	r.Each(func(q *Queue) bool {
		names = append(names, q.Name())
		if loaded(q) {
			t.Error("got a queue loaded at the start, want it parked")
		}
		wants(t, q, "x")
		return true
	})
	if got := fmt.Sprint(names); got != "[.. a a%b b]" {
		t.Fatalf("got %v, want them in order", got)
	}
}

func TestAnIdleQueueIsParkedAndServesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := timed()
		o.Log.FS = disktest.New()
		r := open(t, "data", o)
		q := named(t, r, "work")
		put(t, q, "a", "b", "c")
		it := fetch(t, q)
		q.Hold(&it)
		q.Confirm(fetch(t, q))
		busy := q.store.log
		pass(5 * idleTime)
		if q.store.log != busy {
			t.Fatal("got a parked queue, want it loaded while a read is open")
		}
		q.Return(it)
		pass(2 * idleTime)
		s := q.Stats()
		if s.Items != 2 || s.TotalItems != 3 || s.Canceled != 1 || s.LogSize == 0 ||
			r.Totals().Loaded != 0 {
			t.Fatalf("got %+v, loaded %d, want 2 items of 3 in a parked queue", s, r.Totals().Loaded)
		}
		put(t, q, "d")
		wants(t, q, "a", "c", "d")
		w, woken := waitIn(t, q)
		pass(5 * idleTime)
		put(t, q, "e")
		<-woken
		wantClaim(t, w, q, "e")
	})
}

func TestPeekOfAQueueThatWasParkedMeanwhileIsGone(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	it, _, _ := q.Peek()
	park(t, q)
	if _, err := q.Read(it, nil); !errors.Is(err, wal.ErrGone) {
		t.Fatal(err)
	}
	q.Drop(it)
	wants(t, q, "a")
}

func TestAParkedQueueIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Queue{}) + unsafe.Sizeof(figures{}); n > 400 {
		t.Fatalf("got %d bytes, want 400 at most", n)
	}
}

func TestNoMoreLogsAreOpenThanAllowed(t *testing.T) {
	const allowed, most = 8, 12 // most: while all are in use
	o := small()
	o.MaxLoaded = allowed
	r := open(t, t.TempDir(), o)
	name := func(i int) string { return fmt.Sprint("q", i) }
	open := named(t, r, name(0))
	put(t, open, "0")
	it := fetch(t, open)
	for i := 1; i < 40; i++ {
		put(t, named(t, r, name(i)), fmt.Sprint(i))
		if n := r.Totals().Loaded; n > most {
			t.Fatalf("got %d queues loaded, want %d at most", n, most)
		}
	}
	if n := r.Totals().Loaded; n != most {
		t.Errorf("got %d queues loaded with all in use, want %d", n, most)
	}
	if !loaded(open) || !loaded(named(t, r, name(39))) {
		t.Fatal("got a parked queue, want the ones in use loaded")
	}
	open.Return(it)
	for i := range 40 {
		wants(t, named(t, r, name(i)), fmt.Sprint(i))
	}
}

func TestAQueueInUseIsNotParkedForAnother(t *testing.T) {
	const allowed = 8
	o := small()
	o.MaxLoaded = allowed
	clk := o.Clock.(*clocktest.Clock)
	r := open(t, t.TempDir(), o)
	all := func(from, to int, what string) {
		for i := from; i < to; i++ {
			put(t, named(t, r, fmt.Sprint("q", i)), what)
		}
	}
	all(0, allowed+1, "first")
	clk.Step(inUse)
	all(0, allowed, "second") // the last one is not used
	put(t, named(t, r, "more"), "first")
	clk.Step(inUse)
	all(0, allowed, "third")
	put(t, named(t, r, "one-more"), "first")
	for i := range allowed {
		if name := fmt.Sprint("q", i); !loaded(named(t, r, name)) {
			t.Errorf("queue %s is parked, want it loaded", name)
		}
	}
	if n := r.Totals().Loaded; n > allowed+allowed/2 {
		t.Errorf("got %d queues loaded, want %d at most", n, allowed+allowed/2)
	}
	clk.Step(inUse)
	clk.Step(inUse)
	for i := range 20 {
		put(t, named(t, r, "later"+strconv.Itoa(i)), "first")
		clk.Step(inUse)
	}
	if n := r.Totals().Loaded; n > allowed {
		t.Errorf("got %d queues loaded with few in use, want %d at most", n, allowed)
	}
}

func TestADeletedQueueStartsAfresh(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a", "b", "c")
	confirmed, returned := fetch(t, q), fetch(t, q)
	u, err := q.BeginLarge(4, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	if s := q.Stats(); q.Exists() || s != (Stats{}) {
		t.Fatalf("got %+v, exists %v, want no trace", s, q.Exists())
	}
	put(t, q, "x")
	if err := q.Confirm(confirmed); err != nil {
		t.Fatal(err)
	}
	q.Return(returned)
	q.Drop(confirmed)
	if _, err := q.Read(returned, nil); !errors.Is(err, wal.ErrGone) {
		t.Fatal(err)
	}
	u.Write([]byte("body"))
	if err := u.Commit(); err == nil {
		t.Fatal("got a large item in a deleted queue, want an error")
	}
	if s := q.Stats(); s.Items != 1 || s.Open != 0 || s.TotalItems != 1 {
		t.Fatalf("got %+v, want Items 1, Open 0, TotalItems 1", s)
	}
	wants(t, q, "x")
	if got := q.store.reg.Totals(); got.Creates != 2 || got.Deletes != 1 || got.Queues != 1 {
		t.Fatalf("got %+v, want 2 creates, 1 delete, 1 queue", got)
	}
}

func TestAnUploadToADeletedQueueLeavesTheNextOneAlone(t *testing.T) {
	q := newQueue(t)
	old, err := q.BeginLarge(5, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	u, err := q.BeginLarge(5, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	old.Abort()
	u.Write([]byte("hello"))
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	body, err := q.Open(fetch(t, q))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v, want hello", got, err)
	}
}

func TestADeleteReleasesWaiters(t *testing.T) {
	r := open(t, t.TempDir(), small())
	a, b := named(t, r, "a"), named(t, r, "b")
	put(t, a, "x")
	take(t, a)
	w, woken := waitIn(t, b, a)
	if err := a.Delete(); err != nil {
		t.Fatal(err)
	}
	<-woken
	if q, _, ok := w.Stop(); ok || q != nil {
		t.Fatalf("got a claim %v by %v, want none", ok, q)
	}
	put(t, b, "y")
	wants(t, b, "y")
}

func TestTheTrashIsEmptied(t *testing.T) {
	r := open(t, t.TempDir(), small())
	q := named(t, r, "work")
	put(t, q, "a")
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	trash := filepath.Join(r.dir, datadir.TrashName)
	empty := func() bool { return len(files(t, trash)) == 0 }
	eventually(t, "the trash", empty)
	if _, err := os.Stat(q.store.dir()); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(trash, "left", "over")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	reopen(t, r)
	eventually(t, "the trash after a start", empty)
}

func TestFlushAllFlushesParkedQueuesToo(t *testing.T) {
	r := open(t, t.TempDir(), small())
	for _, name := range []string{"a", "b"} {
		put(t, named(t, r, name), "x")
	}
	r = reopen(t, r)
	it := fetch(t, named(t, r, "b"))
	if err := r.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	named(t, r, "b").Return(it)
	r = reopen(t, r)
	wants(t, named(t, r, "a"))
	wants(t, named(t, r, "b"))
}

func TestAfterCloseNothingIsAnsweredStored(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	if err := q.store.reg.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.Put([]byte("b"), wal.Meta{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, ok, err := q.Fetch(); ok || !errors.Is(err, ErrClosed) {
		t.Fatalf("got %v, %v, want ErrClosed", ok, err)
	}
}

func TestTenThousandQueuesAreServed(t *testing.T) {
	t.Parallel()
	queues := 10_000
	if testing.Short() {
		queues = 500
	}
	dir := t.TempDir()
	for i := range queues {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint("q", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	o := small()
	o.MaxLoaded = 16
	r := open(t, dir, o)
	for i := 0; i < queues; i += queues / 50 {
		put(t, named(t, r, fmt.Sprint("q", i)), fmt.Sprint("item ", i))
	}
	r = reopen(t, r)
	if n := r.Totals(); n.Queues != queues || n.Loaded != 0 {
		t.Fatalf("got %+v, want %d queues, none loaded", n, queues)
	}
	for i := 0; i < queues; i += queues / 50 {
		wants(t, named(t, r, fmt.Sprint("q", i)), fmt.Sprint("item ", i))
	}
	if n := r.Totals().Loaded; n > 24 {
		t.Fatalf("got %d queues loaded, want few", n)
	}
}
