package wal_test

// What a crash must not forget of a consumer: that it is there, and where it begins.

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// crashed is the disk after a kill, and after power cuts of several kinds.
func crashed(m memory) (images []memory) {
	images = append(images, memory{m.Clone(), m.t})
	for seed := range uint64(20) {
		images = append(images, memory{m.Crash(rand.New(rand.NewPCG(seed, 11))), m.t})
	}
	return images
}

// lateAudit is a log with items and, made after them, a consumer that takes nothing.
func lateAudit(t *testing.T, m memory, fill func(*wal.Log)) (l *wal.Log, own *wal.Consumer) {
	t.Helper()
	l = m.open()
	fill(l) // without any consumer, so that none has a file yet
	own = consumer(t, l)
	if _, err := l.Consumer("audit", wal.Oldest); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	return l, own
}

// Seeds 1326, 1694, 3282, 3558, 4635, 6366, 7062 and 8110 of the crash campaign: the consumer was
// in memory alone, so after a crash, until it was asked for again, the bodies of what the other one
// took were deleted.
func TestAConsumerThatHasTakenNothingHoldsBodiesBackAfterACrash(t *testing.T) {
	m := newMemory(t)
	_, own := lateAudit(t, m, func(l *wal.Log) {
		if _, err := upload(l, body("000001", 100_000)); err != nil {
			t.Fatal(err)
		}
	})
	p, _, _, err := own.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Take(p); err != nil {
		t.Fatal(err)
	}
	for _, m := range crashed(m) {
		l := m.open()
		settle(l) // before anybody asks for the consumer
		audit, err := l.Consumer("audit", wal.Oldest)
		if err != nil {
			t.Fatal(err)
		}
		p, _, ok, err := audit.Next()
		if err != nil || !ok {
			t.Fatalf("got ok %v and %v, want the item", ok, err)
		}
		readAll(t, l, p)
		l.Close()
	}
}

// Seeds 2734 and 5762: likewise its segments were deleted and compacted away.
func TestAConsumerThatHasTakenNothingHoldsSegmentsBackAfterACrash(t *testing.T) {
	const n = 3000
	m := newMemory(t)
	l, own := lateAudit(t, m, func(l *wal.Log) { fill(t, l, 0, n) })
	drain(t, l, own)
	for _, m := range crashed(m) {
		l := m.open()
		rest(l)
		audit, err := l.Consumer("audit", wal.Oldest)
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, l, audit); len(got) != n || l.Stats().Damaged != 0 {
			t.Fatalf("got %d items, want %d; %d are lost", len(got), n, l.Stats().Damaged)
		}
		l.Close()
	}
}

func TestAConsumerWhoseFileCannotBeReadHoldsBackWhatItMayNotHaveTaken(t *testing.T) {
	const n = 3000
	m := newMemory(t)
	l, _ := lateAudit(t, m, func(l *wal.Log) { fill(t, l, 0, n) })
	l.Close()
	if err := m.WriteFile("/data/q/consumer+audit.off",
		slices.Repeat([]byte("garbage "), 512)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start finds no trace of the damage
		l = m.open()
		own := consumer(t, l)
		drain(t, l, own)
		settle(l)
		m = memory{m.Clone(), t}
	}
	l = m.open()
	audit, err := l.Consumer("audit", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, l, audit); len(got) != n {
		t.Fatalf("got %d items, want %d", len(got), n)
	}
}

func TestAConsumerThatCannotBeRememberedIsRefused(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	fill(t, l, 0, 10)
	m.SetCapacity(m.Used())
	if _, err := l.Consumer("audit", wal.Oldest); err == nil {
		t.Fatal("got a consumer that the next start does not know, want a refusal")
	}
	consumer(t, l) // the log's own needs no file to be known
	m.SetCapacity(-1)
	if _, err := l.Consumer("audit", wal.Oldest); err != nil {
		t.Fatal(err)
	}
}

// Seed 9169: the entries of an offset file without its head began at item 0, which there is not.
func TestAnOffsetFileThatLostItsHeadBeginsAtTheOldestItem(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	const n = 40
	fill(t, l, 0, n)
	for i := range n / 2 { // out of order: entries, and no checkpoint
		p, _ := next(t, l, c)
		if i%2 == 1 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	m = memory{m.Clone(), t}
	loseHead(t, m.FS)
	l = m.open()
	c = consumer(t, l)
	announced, _ := c.Pending()
	got := drain(t, l, c)
	// Damaged are the two places of the head.
	if want := n - n/4; announced != int64(want) || len(got) != want || l.Stats().Damaged != 2 {
		t.Fatalf("got %d items pending and %d items, want %d; got %d damaged records, want 2",
			announced, len(got), want, l.Stats().Damaged)
	}
}

// loseHead damages both places where the head of the log's own consumer is kept.
func loseHead(t *testing.T, fsys *disktest.FS) {
	t.Helper()
	for _, at := range []int64{30, 512 + 30} {
		if err := fsys.Corrupt("/data/q/consumer.off", at, 3); err != nil {
			t.Fatal(err)
		}
	}
}

// Seed 19734578269022: the other consumer had taken the first segments, so nobody looked at them,
// and what a power cut took of them was announced.
func TestALogThatLostItsOwnOffsetFileLooksAtEverySegment(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	audit, err := l.Consumer("audit", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 0, 1500)
	if err := audit.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	m = memory{m.Clone(), t}
	for name, size := range map[string]int{
		"consumer.off": 0, m.files(".seg")[0]: wal.MinSegmentSize, // nothing of either was written
	} {
		if err := m.WriteFile("/data/q/"+name, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	l = m.open()
	c := consumer(t, l)
	announced, _ := c.Pending()
	if got := drain(t, l, c); int(announced) != len(got) || len(got) == 0 {
		t.Fatalf("got %d items pending and %d items, want as many and some", announced, len(got))
	}
}

// Seed 70047, with a full disk: compaction had left out what only memory knew to be taken.
func TestWhatAFullDiskHadNoRoomToNoteIsNotDeleted(t *testing.T) {
	const n = 3000
	m := newMemory(t)
	o := options(m.FS)
	o.Cold = nil
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	fill(t, l, 0, n)
	settle(l)
	m.SetCapacity(m.Used())
	next(t, l, c) // stays open, so that all else is taken out of order
	for i := range n - 1 {
		p, _ := next(t, l, c)
		if i%2 == 0 || i > 300 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	var mu sync.Mutex
	var images []*disktest.FS
	m.Fail(func(disktest.Op, string, int) error {
		mu.Lock()
		defer mu.Unlock()
		images = append(images, m.Clone())
		return nil
	})
	rest(l)
	m.Fail(nil)
	mu.Lock() // a call may be in the hook yet
	all := append(slices.Clone(images), m.Clone())
	mu.Unlock()
	for _, image := range all {
		l := open(t, "/data/q", options(image))
		c := consumer(t, l)
		announced, _ := c.Pending()
		if got := drain(t, l, c); int(announced) != len(got) || l.Stats().Damaged != 0 {
			t.Fatalf("got %d items pending, %d items and %d lost ones, want none lost",
				announced, len(got), l.Stats().Damaged)
		}
		l.Close()
	}
}

// Seeds 40040699 and 30027739: while a sync gave the file room, what was taken out of order was
// noted in memory alone.
func TestWhatIsTakenWhileTheOffsetFileIsGivenRoomIsNoted(t *testing.T) {
	const entries = (4096 - 1024) / 32
	// With one of them there is no room for another.
	for taken := entries - 4; taken <= entries+1; taken++ {
		takeDuringSync(t, taken)
	}
}

func takeDuringSync(t *testing.T, taken int) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 1000)
	next(t, l, c) // stays open, so that all else is taken out of order
	takeOne := func() wal.Position {
		next(t, l, c)
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for range taken {
		takeOne()
	}
	inside, resume := make(chan bool), make(chan bool)
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpAllocate && strings.HasSuffix(name, ".off") {
			inside <- true
			<-resume
		}
		return nil
	})
	synced := make(chan error, 1)
	l.SyncThen(func(err error) { synced <- err })
	waits := false
	select {
	case waits = <-inside:
	case err := <-synced:
		if err != nil {
			t.Fatal(err)
		}
	}
	last := takeOne()
	image := m.Clone()
	m.Fail(nil)
	if waits {
		close(resume)
		<-synced
	}
	if again := (memory{image, t}).open(); !consumer(t, again).Taken(last) {
		t.Fatalf("item %d: got it again, want it taken as before the kill", last.Seq)
	}
}

// Seed 61234500001398: a power cut left the head of an upload that had broken off, where a record
// had come, and beyond it the record of a large item, whose body is there. Nobody reads that.
func TestARecordInWhatIsLeftOfAnUploadIsLostAndCounted(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	put(t, l, "gone")
	put(t, l, "first")
	u := begin(t, l, 2000)
	name := "/data/q/" + m.files(".seg")[0]
	before, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	u.Abort()
	put(t, l, text(300, 'x'))
	w, err := l.BeginLarge(3000, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.Write([]byte(text(3000, 'y'))); err != nil {
		t.Fatal(err)
	}
	if _, err = w.Commit(); err != nil {
		t.Fatal(err)
	}
	after, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := segment.HeaderSize
	for before[at] == after[at] {
		at++
	}
	cut := memory{m.Clone(), t}
	copy(after[at:at+60], before[at:])
	copy(after[bytes.Index(after, []byte("gone")):], "lost") // otherwise nobody looks for gaps
	if err := cut.WriteFile(name, after); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = cut.open()
	c := consumer(t, l)
	if n, _ := c.Pending(); n != 1 {
		t.Errorf("got %d items announced, want 1", n)
	}
	if _, got := next(t, l, c); got != "first" {
		t.Errorf("got %q, want the first item", got)
	}
	if n := l.Stats().Damaged; n != 3 {
		t.Errorf("got %d items counted as lost, want 3", n)
	}
	l.Close()
}
