package wal_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// What has to reach the disk before what: at the moment named, the power is cut in many ways, and
// each image has to keep the promise.

// cutAt runs work and cuts the power at every call that matches, in several ways each.
func cutAt(t *testing.T, m memory, match func(op disktest.Op, name string) bool, work func(),
	judge func(memory)) {
	t.Helper()
	var mu sync.Mutex // syncs call beside work
	var images []*disktest.FS
	rng := rand.New(rand.NewPCG(1, 2))
	m.Fail(func(op disktest.Op, name string, _ int) error {
		mu.Lock()
		defer mu.Unlock()
		if match(op, name) {
			for range 8 {
				images = append(images, m.Crash(rng))
			}
		}
		return nil
	})
	work()
	m.Fail(nil)
	mu.Lock() // a call may be in the hook yet
	defer mu.Unlock()
	if len(images) == 0 {
		t.Fatal("the call never came: this test shows nothing")
	}
	for _, image := range images {
		judge(memory{image, t})
	}
}

func TestAColdSegmentIsDurableBeforeItsSourcesGo(t *testing.T) {
	m := newMemory(t)
	l := openCold(m)
	c := consumer(t, l)
	const n = 3000
	fill(t, l, 0, n)
	settle(l)
	taken := 0
	for i := range n / 2 { // so that some are rewritten to what is left
		p, _ := next(t, l, c)
		if i%4 > 0 {
			taken++
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	cutAt(t, m, func(op disktest.Op, name string) bool {
		return op == disktest.OpRemove && strings.HasSuffix(name, ".seg")
	}, func() {
		rest(l)
	}, func(m memory) {
		l := openCold(m)
		if got := drain(t, l, consumer(t, l)); len(got) < n-taken || l.Stats().Damaged != 0 {
			t.Fatalf("got %d items, want at least %d; %d are lost",
				len(got), n-taken, l.Stats().Damaged)
		}
	})
}

func TestWhatIsTakenIsDurableBeforeItsSegmentGoes(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 3000)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	cutAt(t, m, func(op disktest.Op, name string) bool {
		return (op == disktest.OpRemove || op == disktest.OpRename) && // or is used again
			(strings.HasSuffix(name, ".seg") || strings.HasSuffix(name, ".cold"))
	}, func() {
		drain(t, l, c)
		settle(l)
	}, func(m memory) {
		l := m.open()
		drain(t, l, consumer(t, l))
		if n := l.Stats().Damaged; n != 0 {
			t.Fatalf("got %d taken items as lost, want none", n)
		}
		l.Close()
	})
}

func TestARewrittenOffsetFileIsDurableBeforeItReplacesTheOldOne(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	const n = 1000
	fill(t, l, 0, n)
	next(t, l, c) // stays open: all others are taken out of order
	for {
		p, got := next(t, l, c)
		if got == "" {
			break
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	renamed := false
	cutAt(t, m, func(op disktest.Op, name string) bool {
		after := renamed
		renamed = renamed || op == disktest.OpRename && strings.Contains(name, ".off")
		return after
	}, func() {
		l.Close() // rewrites it
		if _, err := m.ReadDir("/data/q"); err != nil {
			t.Fatal(err)
		}
	}, func(m memory) {
		l := m.open()
		if got := drain(t, l, consumer(t, l)); len(got) != 1 {
			t.Fatalf("got %d items, want 1", len(got))
		}
		l.Close()
	})
}

func TestWhatAKilledProcessLeftIsMadeDurableByTheNextSync(t *testing.T) {
	for seed := range uint64(20) {
		m := newMemory(t)
		l := m.open()
		c := consumer(t, l)
		fill(t, l, 0, 2000)
		for i := range 5 {
			if _, err := upload(l, body("00000"+string(rune('0'+i)), 100_000)); err != nil {
				t.Fatal(err)
			}
		}
		for range 1000 {
			p, _ := next(t, l, c)
			c.Take(p)
		}
		m = memory{m.Clone(), t} // a kill
		l = m.open()
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		m = memory{m.Crash(rand.New(rand.NewPCG(seed, 9))), t}
		l = m.open()
		c = consumer(t, l)
		if items, _ := c.Pending(); items != 1005 || l.Stats().Damaged != 0 {
			t.Fatalf("seed %d: got %d items and %d lost, want 1005 and none",
				seed, items, l.Stats().Damaged)
		}
		for i := range 1005 {
			p, _, ok, err := c.Next()
			if err != nil || !ok {
				t.Fatalf("item %d: got ok %v and %v", i, ok, err)
			}
			if p.Large() {
				readAll(t, l, p)
			}
		}
		l.Close()
	}
}

func TestSyncCoversEveryLargeItemHoweverMany(t *testing.T) {
	m := newMemory(t)
	l := m.open() // which syncs only when it is asked to
	consumer(t, l)
	const n = 150
	for range n {
		if _, err := upload(l, make([]byte, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	m = memory{m.Crash(rand.New(rand.NewPCG(3, 4))), t}
	l = m.open()
	c := consumer(t, l)
	for i := range n {
		p, _, ok, err := c.Next()
		if err != nil || !ok {
			t.Fatalf("item %d: got ok %v and %v", i, ok, err)
		}
		r, err := l.Open(p)
		if err != nil {
			t.Fatalf("item %d: %v", i, err)
		}
		if k, err := io.Copy(io.Discard, r); k != 5000 || err != nil {
			t.Fatalf("item %d: got %d bytes, %v", i, k, err)
		}
		r.Close()
	}
}

func TestTheBodyOfAnotherItemIsNeverDelivered(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	for _, id := range []string{"000001", "000002"} {
		if _, err := upload(l, body(id, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	a, b := "/data/q/"+m.files(".item")[0], "/data/q/"+m.files(".item")[1]
	for _, step := range [][2]string{{a, "/x"}, {b, a}, {"/x", b}} {
		if err := m.Rename(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	p, _, _, _ := c.Next()
	if _, err := l.Open(p); !errors.Is(err, wal.ErrDamaged) {
		t.Fatalf("a body in another's place: got %v, want ErrDamaged", err)
	}
}

func TestAShortageOfDescriptorsIsNotAFailedSync(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	put(t, l, "a")
	m.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpSyncDir {
			return syscall.EMFILE
		}
		return nil
	})
	if err := l.Sync(); !errors.Is(err, syscall.EMFILE) || errors.Is(err, wal.ErrFailed) {
		t.Fatalf("a sync without descriptors: got %v, want EMFILE and no failure", err)
	}
	m.Fail(nil)
	put(t, l, "b")
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	m = memory{m.Crash(rand.New(rand.NewPCG(5, 6))), t}
	l = m.open()
	if got := drain(t, l, consumer(t, l)); len(got) != 2 {
		t.Fatalf("got %v after a power cut, want 2 items", got)
	}
}

func TestAFullDiskThatIsOneSegmentRecoversWhenItIsTaken(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.SegmentSize = 1 << 20
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	put(t, l, payload(0))
	m.SetCapacity(m.Used() + 200<<10)
	n := 1
	for ; ; n++ {
		if _, err := l.Append(make([]byte, 1000), wal.Meta{Flags: 7, Expires: 99}); err != nil {
			break
		}
	}
	for range n {
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Append(make([]byte, 1000), wal.Meta{}); err == nil {
		t.Fatal("the disk has room: this test shows nothing")
	}
	settle(l)
	if last := put(t, l, payload(1)); last.Seq != uint64(n+1) {
		t.Fatalf("got number %d, want %d: numbering goes on", last.Seq, n+1)
	}
	l.Close()
	l = open(t, "/data/q", o)
	if got := drain(t, l, consumer(t, l)); len(got) != 1 || got[0] != payload(1) {
		t.Fatalf("got %v, want one item", got)
	}
}

func TestNumbersOfALostSegmentAreNotUsedAgain(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	fill(t, l, 0, 10)
	l.Close()
	name := path.Join("/data/q", m.files(".seg")[0])
	if err := m.WriteFile(name, []byte(strings.Repeat("garbage ", 1000))); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	c := consumer(t, l)
	if p := put(t, l, payload(1)); p.Seq <= 10 {
		t.Fatalf("got number %d again, want a new one", p.Seq)
	}
	if l.Stats().Damaged == 0 {
		t.Fatal("got nothing counted as damaged")
	}
	if got := drain(t, l, c); len(got) != 1 {
		t.Fatalf("got %v, want one item", got)
	}
}

func TestAnOffsetFileIsUsedWithoutBothCopiesOfItsHead(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 600)
	for range 500 {
		p, _ := next(t, l, c)
		c.Take(p)
		if err := l.Sync(); err != nil { // more often than one block has room for
			t.Fatal(err)
		}
	}
	l.Close()
	for _, at := range []int64{30, 512 + 30} {
		if err := m.Corrupt("/data/q/consumer.off", at, 3); err != nil {
			t.Fatal(err)
		}
	}
	l = m.open()
	if items, _ := consumer(t, l).Pending(); items != 100 {
		t.Fatalf("got %d items pending, want 100", items)
	}
}

func TestAFlushLeavesTheNextItemAtHand(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 500)
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	put(t, l, payload(1))
	if n := wal.CursorDistance(c); n != 1 {
		t.Fatalf("got a cursor %d records before the next item, want 1", n)
	}
}

func TestASegmentThatCannotBeReadIsSetAsideNotDeleted(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	fill(t, l, 0, 3000)
	settle(l)
	l.Close()
	segs := m.files(".seg")
	a, b := path.Join("/data/q", segs[0]), path.Join("/data/q", segs[1])
	for _, step := range [][2]string{{a, "/x"}, {b, a}, {"/x", b}} { // each has the other's name
		if err := m.Rename(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	l = m.open()
	drain(t, l, consumer(t, l))
	settle(l)
	aside := m.Names("/data/q/.quarantine/q")
	for _, name := range segs[:2] {
		if !slices.ContainsFunc(aside, func(s string) bool { return strings.HasPrefix(s, name) }) {
			t.Errorf("want %s set aside, got %v", name, aside)
		}
	}
}

// orphaned is a log with a body whose record is lost.
func orphaned(t *testing.T) memory {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	if _, err := upload(l, body("000001", 100_000)); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := m.Remove(path.Join("/data/q", m.files(".seg")[0])); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestABodyWithoutItsRecordIsSetAsideAndItsNumberNotUsedAgain(t *testing.T) {
	m := orphaned(t)
	l := m.open()
	if p := put(t, l, payload(1)); p.Seq < 2 {
		t.Fatalf("got number %d again, want a new one", p.Seq)
	}
	if aside := m.Names("/data/q/.quarantine/q"); len(aside) != 1 || len(m.files(".item")) != 0 {
		t.Fatalf("got %v set aside and %v left, want one and none", aside, m.files(".item"))
	}
	if got := drain(t, l, consumer(t, l)); len(got) != 1 {
		t.Fatalf("got %v, want one item", got)
	}
}

func TestAnOffsetFileCutAfterItsFirstSlotIsUsed(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 10)
	for range 4 { // the last of an even number of changes is in the slot that is left
		p, _ := next(t, l, c)
		c.Take(p)
	}
	l.Close()
	whole, err := m.ReadFile("/data/q/consumer.off")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteFile("/data/q/consumer.off", whole[:176]); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	if items, _ := consumer(t, l).Pending(); items > 7 {
		t.Fatalf("got %d items pending, want 6 or 7", items)
	}
}

// readAll reads a large item to its end.
func readAll(t *testing.T, l *wal.Log, p wal.Position) {
	t.Helper()
	r, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
}

func TestASegmentIsNotSealedBeforeItsBodiesHaveTheirNames(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	renaming, resume := make(chan bool), make(chan bool)
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpRename && strings.HasSuffix(name, ".part") {
			close(renaming)
			<-resume
		}
		return nil
	})
	done := make(chan error)
	go func() {
		_, err := upload(l, body("000001", 100_000))
		done <- err
	}()
	<-renaming
	fill(t, l, 0, 3000)
	settle(l)
	image := memory{m.Clone(), t} // a kill in the middle of the Commit
	close(resume)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l = image.open()
	p, _, ok, err := consumer(t, l).Next()
	if err != nil || !ok || !p.Large() {
		t.Fatalf("got %+v, %v, %v, want the large item", p, ok, err)
	}
	readAll(t, l, p)
}

func TestASegmentIsNotSealedBeforeItsBodiesAreDurable(t *testing.T) {
	for seed := range uint64(10) {
		m := newMemory(t)
		l := m.open()
		consumer(t, l)
		if _, err := upload(l, body("000001", 100_000)); err != nil {
			t.Fatal(err)
		}
		fill(t, l, 0, 3000)
		settle(l)
		m = memory{m.Clone(), t} // a kill
		l = m.open()
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		m = memory{m.Crash(rand.New(rand.NewPCG(seed, 3))), t}
		l = m.open()
		p, _, ok, err := consumer(t, l).Next()
		if err != nil || !ok || !p.Large() {
			t.Fatalf("got %+v, %v, %v, want the large item", p, ok, err)
		}
		readAll(t, l, p)
	}
}

// The crash campaign found it: a body whose record a power cut lost, on a full disk.
func TestALogOpensOnADiskWithoutRoomForWhatIsSetAside(t *testing.T) {
	m := orphaned(t)
	m.SetCapacity(m.Used())
	l := m.open()
	if items, _ := consumer(t, l).Pending(); items != 0 {
		t.Fatalf("got %d items pending, want none", items)
	}
	kept := slices.ContainsFunc(m.Names("/data/q"),
		func(name string) bool { return strings.Contains(name, ".item@") })
	if !kept || len(m.files(".item")) != 0 {
		t.Fatalf("got %v, want the body set aside", m.Names("/data/q"))
	}
}
