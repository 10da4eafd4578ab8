package queue

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

// onFake opens a registry on a disk that can be broken, and checks at the end that no store went
// where a real system has no block.
func onFake(t *testing.T, fs *disktest.FS) *Registry {
	o := small()
	o.Log.FS = fs
	r := open(t, "data", o)
	t.Cleanup(func() {
		r.Close()
		for _, v := range fs.Violations() {
			t.Errorf("got violation %v, want none", v)
		}
	})
	return r
}

var errBroken = errors.New("broken on purpose")

// breaks makes calls of a kind fail for files whose name contains part.
func breaks(fs *disktest.FS, op disktest.Op, part string) {
	fs.Fail(func(o disktest.Op, name string, _ int) error {
		if o == op && strings.Contains(name, part) {
			return errBroken
		}
		return nil
	})
}

func synced(q *Queue) error {
	done := make(chan error, 1)
	q.SyncThen(func(err error) { done <- err })
	return <-done
}

func TestAFailedSyncIsFinalForItsQueueAlone(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	bad, good := named(t, r, "bad"), named(t, r, "good")
	put(t, bad, "a", "b")
	breaks(fs, disktest.OpSync, "bad/")
	if err := synced(bad); !errors.Is(err, wal.ErrFailed) {
		t.Fatal(err)
	}
	fs.Fail(nil)
	err := bad.Put([]byte("c"), wal.Meta{})
	if !errors.Is(err, wal.ErrFailed) || !errors.Is(err, errBroken) {
		t.Fatalf("got %v, want ErrFailed", err)
	}
	if s := bad.Stats(); !strings.Contains(s.Failed, errBroken.Error()) || s.Items != 2 {
		t.Fatalf("got %+v, want 2 items in a queue that failed", s)
	}
	if bad.store.park(1 << 60) {
		t.Fatal("got a parked queue, want it loaded: loading it again would hide the failure")
	}
	if got := take(t, bad); got != "a" {
		t.Fatalf("got %q of a failed log, want a", got)
	}
	put(t, good, "x")
	if err := synced(good); err != nil {
		t.Fatal(err)
	}
	wants(t, good, "x")
}

func TestALogThatFailsWhenItIsParkedStaysFailed(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "bad")
	put(t, q, "a")
	breaks(fs, disktest.OpSync, "bad/")
	park(t, q)
	fs.Fail(nil)
	if err := synced(q); !errors.Is(err, wal.ErrFailed) {
		t.Fatal(err)
	}
	if err := q.Put([]byte("b"), wal.Meta{}); !errors.Is(err, wal.ErrFailed) {
		t.Fatal(err)
	}
	if _, err := q.Wait(NewWaiter(func() {})); !errors.Is(err, wal.ErrFailed) {
		t.Fatal(err)
	}
	if s := q.Stats(); s.Failed == "" {
		t.Fatalf("got %+v, want some Failed", s)
	}
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	put(t, q, "c")
	wants(t, q, "c")
}

func TestAFullDiskRefusesPutsUntilItemsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := disktest.New()
		o := timed()
		o.Log.FS = fs
		q := named(t, open(t, "data", o), "work")
		fs.SetCapacity(1 << 20)
		payload := bytes.Repeat([]byte("x"), 4000)
		n := 0
		var err error
		for ; err == nil; n++ {
			err = q.Put(payload, wal.Meta{})
		}
		if !errors.Is(err, wal.ErrFull) || n < 100 {
			t.Fatalf("got %v after %d items, want ErrFull after 100 or more", err, n)
		}
		if s := q.Stats(); s.Failed != "" || s.Items != int64(n-1) {
			t.Fatalf("got %+v, want %d items", s, n-1)
		}
		for range n / 2 {
			if err := q.Confirm(fetch(t, q)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "space", func() bool { return q.Put(payload, wal.Meta{}) == nil })
	})
}

func TestAQueueThatCannotBeLoadedSaysSoUntilItCan(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	put(t, q, "a")
	park(t, q)
	breaks(fs, disktest.OpReadDir, "work")
	if _, _, err := q.Fetch(); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "work") {
		t.Fatal(err)
	}
	if r.Totals().Loaded != 0 || loaded(q) {
		t.Fatal("got a loaded queue, want none")
	}
	fs.Fail(nil)
	pauseIsOver(q)
	wants(t, q, "a")
}

// pauseIsOver has a queue that could not be loaded be tried again.
func pauseIsOver(q *Queue) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if q.store.loadFailure != nil {
		q.store.loadFailure.until = math.MinInt64
	}
}

func TestAQueueThatCannotBeLoadedIsNotTriedForEachRequest(t *testing.T) {
	fs := disktest.New()
	var log bytes.Buffer
	o := small()
	o.Log.FS, o.Log.Logger = fs, slog.New(slog.NewTextHandler(&log, nil))
	r := open(t, "data", o)
	q := named(t, r, "work")
	put(t, q, "a")
	park(t, q)
	var calls atomic.Int64
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if strings.Contains(name, "work") {
			if op != disktest.OpLock { // a look, which may fail
				calls.Add(1)
			}
			return errBroken
		}
		return nil
	})
	for attempt := range 4 {
		for range 100 {
			if _, _, err := q.Fetch(); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			if err := q.Put([]byte("b"), wal.Meta{}); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			if s := q.Stats(); !strings.Contains(s.Failed, errBroken.Error()) {
				t.Fatalf("got %+v, want why it failed", s)
			}
		}
		if n := calls.Swap(0); n != 1 {
			t.Fatalf("got %d calls to the disk for 300 requests, want 1", n)
		}
		if pause := q.store.loadFailure.pause; pause != firstPause<<attempt {
			t.Errorf("attempt %d: got a pause of %v, want %v", attempt+1, pause, firstPause<<attempt)
		}
		pauseIsOver(q)
	}
	fs.Fail(nil)
	wants(t, q, "a")
	if s := q.Stats(); s.Failed != "" {
		t.Errorf("got %+v, want not Failed", s)
	}
	if n := strings.Count(log.String(), "cannot be loaded"); n != 1 {
		t.Errorf("got %d log lines, want 1:\n%s", n, log.String())
	}
}

func TestADeleteEndsThePauseOfAQueueThatCannotBeLoaded(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	put(t, q, "a")
	park(t, q)
	breaks(fs, disktest.OpReadDir, "work")
	if _, _, err := q.Fetch(); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	fs.Fail(nil)
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	put(t, q, "b")
	wants(t, q, "b")
}

func TestADataDirectoryThatIsUnfitForLogsIsRefused(t *testing.T) {
	fs := disktest.New()
	fs.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpMap {
			return syscall.ENODEV
		}
		return nil
	})
	o := small()
	o.Log.FS = fs
	_, err := OpenRegistry("data", o)
	if !errors.Is(err, disk.ErrUnfit) || !strings.Contains(err.Error(), "data directory data") {
		t.Fatal(err)
	}
	if names := fs.Names("data"); len(names) != 1 {
		t.Errorf("got files %v, want the lock alone", names)
	}
	fs.Fail(nil)
	open(t, "data", o) // the lock is free
}

// Whichever call fails: at the start, while queues are loaded, parked and tried again, and at the
// end.
func TestARegistryGivesBackAllItTook(t *testing.T) {
	t.Parallel()
	first := disktest.New()
	r := onFake(t, first)
	for range 30 {
		put(t, named(t, r, "a"), strings.Repeat("x", 4000))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	failures := []error{syscall.EACCES, syscall.EMFILE}
	for _, forGood := range []bool{false, true} {
		step := 1
		if testing.Short() {
			step = 11
		}
		for n, made := 1, true; made; n += step {
			fs := first.Clone()
			var called atomic.Bool
			fs.Fail(func(_ disktest.Op, _ string, i int) error {
				if i == n {
					called.Store(true)
				}
				if i < n || i > n && !forGood {
					return nil
				}
				return failures[n%len(failures)]
			})
			visit(fs)
			fs.Fail(nil)
			if files, maps := fs.InUse(); files != 0 || maps != 0 {
				t.Fatalf("call %d failing, for good %v: got %d files and %d maps in use, want none",
					n, forGood, files, maps)
			}
			made = called.Load()
		}
	}
}

// visit does a bit of everything in a data directory, and minds no errors.
func visit(fs *disktest.FS) {
	o := small()
	o.Log.FS, o.MaxLoaded = fs, 1
	r, err := OpenRegistry("data", o)
	if err != nil {
		return
	}
	defer r.Close()
	for range 2 {
		for _, name := range []string{"a", "new"} {
			q, err := r.Queue([]byte(name))
			if err != nil {
				continue
			}
			pauseIsOver(q)
			q.Put([]byte("x"), wal.Meta{})
			if it, ok, err := q.Fetch(); ok && err == nil {
				q.Confirm(it)
			}
			q.Stats()
			q.store.park(1 << 60)
		}
	}
	if q, err := r.Queue([]byte("a")); err == nil {
		q.Delete()
	}
}

func TestAQueueThatCannotBeMadeLeavesNothing(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	breaks(fs, disktest.OpMkdir, "work")
	if err := q.Put([]byte("a"), wal.Meta{}); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	fs.Fail(nil)
	if q.Exists() || r.Totals().Queues != 0 {
		t.Fatal("got a queue, want none")
	}
	put(t, q, "b")
	wants(t, q, "b")
}

func TestADeleteThatFailsLosesNothing(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	put(t, q, "a", "b")
	q.Confirm(fetch(t, q))
	w, _ := waitIn(t, named(t, r, "other"))
	breaks(fs, disktest.OpRename, "work")
	if err := q.Delete(); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	fs.Fail(nil)
	w.Stop()
	wants(t, q, "b")
}

func TestTrashThatCannotBeEmptiedIsTriedAgain(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	a, b := named(t, r, "a"), named(t, r, "b")
	put(t, a, "x")
	put(t, b, "x")
	tried := make(chan bool, 1)
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpRemove && strings.Contains(name, datadir.TrashName) {
			select {
			case tried <- true:
			default:
			}
			return errBroken
		}
		return nil
	})
	if err := a.Delete(); err != nil {
		t.Fatal(err)
	}
	<-tried
	fs.Fail(nil)
	if err := b.Delete(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trash", func() bool { return len(fs.Names(path.Join("data", datadir.TrashName))) == 0 })
}

// A segment of the old queue is about to be removed, or used again, while the queue is deleted and
// set again: it has the name of the new one's first segment.
func TestBackgroundWorkOnADeletedQueueLeavesTheNextOneAlone(t *testing.T) {
	fs := disktest.New()
	q := named(t, onFake(t, fs), "work")
	payload := bytes.Repeat([]byte("x"), 4000)
	for range 60 {
		put(t, q, string(payload))
	}
	var once atomic.Bool
	removing, proceed := make(chan bool), make(chan bool)
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		goes := op == disktest.OpRemove || op == disktest.OpRename
		if goes && strings.HasSuffix(name, ".seg") && !once.Swap(true) {
			close(removing)
			<-proceed
		}
		return nil
	})
	for range 60 {
		q.Confirm(fetch(t, q))
	}
	<-removing
	stored := make(chan error, 1)
	go func() { stored <- errors.Join(q.Delete(), q.Put([]byte("a"), wal.Meta{})) }()
	eventually(t, "the delete to begin", func() bool { return !loaded(q) })
	for range 1000 { // it goes on, or waits for the removal
		runtime.Gosched()
	}
	close(proceed)
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	wants(t, named(t, reopen(t, q.store.reg), "work"), "a")
}

// corrupt flips a bit of a payload on the disk.
func corrupt(t *testing.T, fs *disktest.FS, dir, payload string) {
	t.Helper()
	for _, name := range fs.Names(dir) {
		content, err := fs.ReadFile(path.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(content, []byte(payload)); at >= 0 {
			if err := fs.Corrupt(path.Join(dir, name), int64(at), 5); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("got no %q on the disk, want it in one file", payload)
}

func TestADamagedItemIsDroppedAndCounted(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	put(t, q, "first item", "second item", "third item", "fourth item")

	it := fetch(t, q)
	corrupt(t, fs, q.store.dir(), "first item")
	if _, err := q.Read(it, nil); !errors.Is(err, wal.ErrDamaged) {
		t.Fatal(err)
	}
	q.Drop(it)

	it, _, _ = q.Peek()
	corrupt(t, fs, q.store.dir(), "second item")
	if _, err := q.Read(it, nil); !errors.Is(err, wal.ErrDamaged) {
		t.Fatal(err)
	}
	q.Drop(it)
	q.Drop(it)

	corrupt(t, fs, q.store.dir(), "third item") // not handed out yet: the log skips it by itself
	wants(t, q, "fourth item")
	if s := q.Stats(); s.Damaged != 3 || s.Items != 0 || s.Open != 0 {
		t.Fatalf("got %+v, want Damaged 3, Items 0, Open 0", s)
	}
	park(t, q)
	if s := q.Stats(); s.Damaged != 3 {
		t.Fatalf("got %+v, want Damaged 3", s)
	}
}

func TestCountsAreRightAfterTheProcessDies(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	for i := range 20 {
		put(t, q, fmt.Sprintf("%02d", i))
	}
	var opens []Item
	for range 10 {
		opens = append(opens, fetch(t, q))
	}
	for i := 1; i < 10; i += 2 {
		q.Confirm(opens[i])
	}
	after := named(t, onFake(t, fs.Clone()), "work")
	if s := after.Stats(); s.Items != 15 || s.Bytes != 30 || s.TotalItems != 20 || s.Open != 0 {
		t.Fatalf("got %+v, want Items 15, Bytes 30, TotalItems 20, Open 0", s)
	}
	q.Flush()
	after = named(t, onFake(t, fs.Clone()), "work")
	if s := after.Stats(); s.Items != 0 || s.Bytes != 0 || s.TotalItems != 20 {
		t.Fatalf("got %+v, want Items 0, Bytes 0, TotalItems 20", s)
	}
}

// unopened is a loaded queue of items like payload, of which only a reader wants the first segment,
// which cannot be opened.
func unopened(t *testing.T) (fs *disktest.FS, q *Queue, payload string) {
	fs = disktest.New()
	o := small()
	o.Log.FS = fs
	o.Log.Cold = &wal.Cold{} // compaction opens it for that
	r := open(t, "data", o)
	q = named(t, r, "work")
	payload = string(bytes.Repeat([]byte("x"), 4000))
	for range 60 {
		put(t, q, payload)
	}
	q = named(t, reopen(t, r), "work")
	breaks(fs, disktest.OpOpen, "00000000000000000001.seg")
	if err := q.Load(); err != nil {
		t.Fatal(err)
	}
	return fs, q, payload
}

// Whatever the cause, callers must not wait before items that wait too: nobody would come back for
// them until the next item.
func TestWaitersAreReleasedWhenTheHeadCannotBeRead(t *testing.T) {
	fs, q, payload := unopened(t)
	w, woken := waitIn(t, named(t, q.store.reg, "other"))
	q.store.mu.Lock()
	q.enqueueLocked(w.newEntry(q))
	q.store.serveAndUnlock()
	<-woken
	if !w.Done() {
		t.Fatal("got a waiter that waits, want it released")
	}
	if from, it, ok := w.Stop(); ok || q.Stats().Waiters != 0 {
		t.Errorf("got item %+v of %v, %d waiters, want neither", it, from, q.Stats().Waiters)
	}
	eventually(t, "the attempts end", func() bool {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		return q.skip == nil || !q.skip.running
	})
	fs.Fail(nil)
	if got := take(t, q); got != payload {
		t.Errorf("got %.20q, want the head", got)
	}
}

func TestWhatTheSweepCannotReadIsNoErrorOfALaterGet(t *testing.T) {
	fs, q, payload := unopened(t)
	q.dropExpired(t.Context(), &sweeper{r: q.store.reg})
	fs.Fail(nil)
	if got := take(t, q); got != payload {
		t.Errorf("got %.20q, want the head", got)
	}
}

func TestADeletedQueueStaysDeletedAfterAPowerCut(t *testing.T) {
	for seed := range uint64(20) {
		fs := disktest.New()
		r := onFake(t, fs)
		q := named(t, r, "work")
		put(t, q, "a")
		synced := make(chan error)
		q.SyncThen(func(err error) { synced <- err })
		if err := <-synced; err != nil {
			t.Fatal(err)
		}
		if err := q.Delete(); err != nil {
			t.Fatal(err)
		}
		o := r.o.fresh()
		o.Log.FS = fs.Crash(rand.New(rand.NewPCG(seed, 1)))
		if named(t, open(t, r.dir, o), "work").Exists() {
			t.Fatalf("seed %d: got the deleted queue back, want none", seed)
		}
	}
}

func TestAShortageIsSurvivedAndLoggedOnce(t *testing.T) {
	fs := disktest.New()
	var log bytes.Buffer
	o := small()
	o.Log.FS, o.Log.Logger = fs, slog.New(slog.NewTextHandler(&log, nil))
	r := open(t, "data", o)
	const queues, most = 20, 12
	for i := range queues {
		q := named(t, r, fmt.Sprint(i))
		put(t, q, "a")
		park(t, q)
	}
	fs.Fail(func(op disktest.Op, _ string, _ int) error {
		opens := op == disktest.OpOpen || op == disktest.OpCreate
		if files, _ := fs.InUse(); files >= most && opens {
			return syscall.EMFILE
		}
		return nil
	})
	for i := range queues { // each in the room of others
		q := named(t, r, fmt.Sprint(i))
		put(t, q, "b")
		wants(t, q, "a", "b")
	}
	fs.Fail(nil)
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "descriptors") {
		t.Errorf("got %d log lines, want one of descriptors:\n%s", n, log.String())
	}
}

func TestADataDirectorySeveralLevelsDeepSurvivesAPowerCut(t *testing.T) {
	for seed := range uint64(20) {
		fs := disktest.New()
		o := small()
		o.Log.FS = fs
		q := named(t, open(t, "/srv/darner/site/data", o), "work")
		put(t, q, "a")
		if err := synced(q); err != nil {
			t.Fatal(err)
		}
		o.Log.FS = fs.Crash(rand.New(rand.NewPCG(seed, 1)))
		wants(t, named(t, open(t, "/srv/darner/site/data", o), "work"), "a")
	}
}

// Each log that is being opened takes descriptors that no budget of loaded queues knows of yet.
func TestFewLogsAreOpenedAtOnceWhereFewMayBeLoaded(t *testing.T) {
	fs := disktest.New()
	o := small()
	o.Log.FS, o.MaxLoaded = fs, 8
	r := open(t, "data", o)
	const queues = 12
	for i := range queues {
		put(t, named(t, r, fmt.Sprint("q", i)), "x")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var opening, most atomic.Int64
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpReadDir && strings.HasPrefix(path.Base(name), "q") {
			n := opening.Add(1)
			defer opening.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			for range 100 { // others have time to come
				runtime.Gosched()
			}
		}
		return nil
	})
	r = open(t, "data", o)
	var all sync.WaitGroup
	for i := range queues {
		all.Go(func() {
			if err := named(t, r, fmt.Sprint("q", i)).Load(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := most.Load(); n > 2 { // one, and the one that the sweeper looks at
		t.Fatalf("got %d logs opened at once, want 2 at most", n)
	}
}

func TestItemsThatMoveWaitForRoomOnTheDiskAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := disktest.New()
		var log lockedBuffer
		o := timed()
		o.Log.FS, o.Log.Logger = fs, slog.New(slog.NewTextHandler(&log, nil))
		settings := map[string]*Settings{
			"work": {ExpireTo: "old"}, "jobs": {MaxDeliveries: 1, DeadLetter: "dead"}, "other": {},
		}
		o.Settings = func(name string) *Settings {
			if s := settings[name]; s != nil {
				return s
			}
			return noSettings
		}
		r := open(t, "/data", o)
		work, jobs, other := named(t, r, "work"), named(t, r, "jobs"), named(t, r, "other")
		lives(t, work, 5*time.Second, "a", "b", "c")
		lives(t, work, 0, "stays")
		put(t, jobs, "d", "e")
		put(t, other, "x", "y")
		fs.SetCapacity(fs.Used())
		fail(t, jobs, "d")
		fail(t, jobs, "e")
		pass(time.Minute)
		for _, target := range []string{"old", "dead"} {
			if !strings.Contains(log.String(), "queue "+target+" ") {
				t.Errorf("got the log %s, want that items for queue %s stay", log.String(), target)
			}
		}
		holds(t, work, 1, 0)
		wants(t, work, "stays")
		wants(t, other, "x", "y")
		fs.SetCapacity(-1)
		pass(30 * time.Second)
		wants(t, named(t, r, "old"), "a", "b", "c")
		wants(t, named(t, r, "dead"), "d", "e")
		wants(t, work)
		wants(t, jobs)
	})
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
