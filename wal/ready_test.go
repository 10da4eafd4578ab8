package wal_test

// What waits for the disk, or takes long, is prepared without the log's lock.

import (
	"strings"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// readied calls TryNext until it is ready, and returns how often it was not.
func readied(t *testing.T, c *wal.Consumer) (p wal.Position, ok bool, unready int) {
	t.Helper()
	for {
		p, _, ok, err := c.TryNext()
		if err == nil {
			return p, ok, unready
		}
		if err != wal.ErrUnready {
			t.Fatal(err)
		}
		unready++
		ready := make(chan struct{})
		c.ReadyThen(func() { close(ready) })
		<-ready
	}
}

func TestAReaderThatHasMuchToPassOverComesBackForIt(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.SegmentSize = 4 << 20
	l := open(t, "/data/q", o)
	all, c := consumer(t, l), named(t, l, "c")
	const n = 20_000
	for i := range n {
		put(t, l, payload(i))
	}
	for i := range n - 1 {
		p, _ := next(t, l, all)
		if i > 0 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p, ok, _ := readied(t, c); !ok || p.Seq != 1 {
		t.Fatalf("got item %d, %v, want item 1", p.Seq, ok)
	}
	p, ok, unready := readied(t, c)
	if !ok || p.Seq != n || unready == 0 {
		t.Errorf("got item %d, %v, after %d calls that were unready, want the last item after some",
			p.Seq, ok, unready)
	}
}

func TestTheEndOfADamagedRangeIsLookedForInTheBackground(t *testing.T) {
	m := newMemory(t)
	l := open(t, "/data/q", options(m.FS))
	c := consumer(t, l)
	for i := range 100 {
		put(t, l, payload(i))
	}
	from, to := int64(segment.HeaderSize),
		int64(segment.HeaderSize+50*segment.RecordSize(len(payload(0))))
	f, err := m.FS.Open("/data/q/00000000000000000001.seg")
	if err == nil {
		_, err = f.WriteAt([]byte(strings.Repeat("\x01\x00\x00\x00\x20\x00\x00\x00",
			int(to-from)/8)), from)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, _, err := c.TryNext(); err != wal.ErrUnready {
		t.Fatalf("at damage: got %v, want ErrUnready", err)
	}
	p, ok, _ := readied(t, c)
	if b, _, err := l.Read(p, nil); !ok || p.Seq != 51 || err != nil || string(b) != payload(50) {
		t.Errorf("got item %d, %v: %q, %v, want item 51", p.Seq, ok, b, err)
	}
	if n := l.Stats().Damaged; n != 50 {
		t.Errorf("got %d lost items, want 50", n)
	}
}

func TestAnAppendThatLacksRoomIsReadyWhenItIsMade(t *testing.T) {
	m := newMemory(t)
	l := open(t, "/data/q", options(m.FS))
	consumer(t, l)
	for i := range 5000 { // several segments
		_, err := l.TryAppend([]byte(payload(i)), wal.Meta{})
		for err == wal.ErrUnready {
			<-caughtUp(l)
			_, err = l.TryAppend([]byte(payload(i)), wal.Meta{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Stats().Appended; n != 5000 {
		t.Errorf("got %d items, want 5000", n)
	}
}

func TestARefusalIsForAnAppendThatLacksAsMuch(t *testing.T) {
	m := newMemory(t)
	l := open(t, "/data/q", options(m.FS))
	consumer(t, l)
	put(t, l, "first")
	m.SetCapacity(m.Used())
	var err error
	for n := 0; err == nil && n < 100_000; n++ {
		_, err = tryAppend(l, []byte(payload(n)), wal.Meta{})
	}
	if err == nil {
		t.Fatal("got no error, want that the disk is full at some time")
	}
	m.SetCapacity(-1)
	put(t, l, "there is room again")
}

// What is taken out of order has a place in the offset file though the file cannot be given blocks
// meanwhile.
func TestATakerNeedsNoBlocksToBeAllocated(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	const n = 1000
	for i := range n {
		put(t, l, payload(i))
	}
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpAllocate && strings.HasSuffix(name, ".off") {
			t.Error("got an allocation, want none for a taker")
		}
		return nil
	})
	for i := range n {
		if p, _ := next(t, l, c); i%2 == 1 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.Fail(nil)
	o.FS = m.FS.Clone()
	if items, _ := consumer(t, open(t, "/data/q", o)).Pending(); items != n/2 {
		t.Errorf("got %d items after a kill, want %d", items, n/2)
	}
}

// unready is a log of many items that was opened again, and its consumer, which was told
// ErrUnready.
func unready(t *testing.T) (l *wal.Log, c *wal.Consumer, oldest wal.Position) {
	t.Helper()
	m := newMemory(t)
	l = m.open()
	consumer(t, l)
	oldest = put(t, l, payload(0))
	fill(t, l, 1, 10_000)
	settle(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	c = consumer(t, l)
	if _, _, _, err := c.TryNext(); err != wal.ErrUnready {
		t.Fatal(err)
	}
	return l, c, oldest
}

func TestAReaderWhoseSegmentSomebodyElseOpensPassesOverNothing(t *testing.T) {
	l, c, oldest := unready(t)
	if _, _, err := l.Read(oldest, nil); err != nil { // which opens the segment
		t.Fatal(err)
	}
	for want := uint64(1); want < 5; want++ {
		p, _, ok, err := c.TryNext()
		if !ok || err != nil || p.Seq != want || l.Stats().Damaged != 0 {
			t.Fatalf("got item %d, want %d; %v, %v; %d are lost",
				p.Seq, want, ok, err, l.Stats().Damaged)
		}
		c.GetReady() // as was asked for at first
	}
}

func TestAFlushWhileASegmentIsOpenedCostsNoLaterItem(t *testing.T) {
	l, c, _ := unready(t)
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	want := put(t, l, "first after the flush")
	put(t, l, "second")
	c.GetReady()
	p, _ := next(t, l, c)
	if p.Seq != want.Seq || l.Stats().Damaged != 0 {
		t.Fatalf("got item %d, want %d; %d are lost", p.Seq, want.Seq, l.Stats().Damaged)
	}
}
