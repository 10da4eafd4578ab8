package wal_test

// Uploads that begin in the next segment, because the active one has no room for them.

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// nearlyFull is a log that is kept short whose active segment has an item and no room for another
// upload of 12000 bytes beside those under way. The last one under way is in the next segment.
func nearlyFull(t *testing.T, m memory) (l *wal.Log, c *wal.Consumer, under []*wal.Upload) {
	t.Helper()
	l, c = short(t, m)
	return l, c, fillWithUploads(t, l, c, 1)
}

// fillWithUploads puts an item into a log that is kept short, whose segments are so many times 64
// KiB, and begins uploads until the last of them is in the next segment.
func fillWithUploads(
	t *testing.T, l *wal.Log, c *wal.Consumer, times int,
) (under []*wal.Upload) {
	t.Helper()
	n := 6 * perSegment * times
	for was := l.Stats().Reused; l.Stats().Reused == was; n++ {
		pass(t, l, c, n, n+1)
	}
	settle(l) // the segment before is taken, and is the next one
	put(t, l, "first")
	segments := l.Stats().Segments
	for used := 0; used < times<<16; used += 12000 {
		under = append(under, begin(t, l, 12000))
	}
	if n := l.Stats().Segments; n != segments {
		t.Fatalf("got %d segments, want %d: the last upload is to begin in the next one", n, segments)
	}
	return under
}

func TestUploadsIntoAFullSegmentEndThereWhileOthersBeginInTheNext(t *testing.T) {
	m := newMemory(t)
	l, _, under := nearlyFull(t, m)
	segments, want := l.Stats().Segments, []string{"first"}
	for i, u := range under {
		b := text(12000, byte('a'+i))
		bring(t, u, []byte(b))
		commit(t, l, u)
		want = append(want, b)
		more := 0
		if i == len(under)-1 {
			more = 1
		}
		if n := l.Stats().Segments; n != segments+more {
			t.Errorf("got %d segments after upload %d, want %d", n, i, segments+more)
		}
	}
	wantItems(t, l, want...)
	settle(l)
	wantItems(t, l, want...)
	l = reopen(t, m, l)
	wantItems(t, l, want...)
	l.Close()
}

// The one in the next segment is whole before those in the full one.
func TestUploadsMayOvertakeThoseInTheSegmentBefore(t *testing.T) {
	m := newMemory(t)
	l, _, under := nearlyFull(t, m)
	want := []string{"first"}
	for i := len(under) - 1; i >= 0; i-- {
		b := text(12000, byte('a'+i))
		bring(t, under[i], []byte(b))
		commit(t, l, under[i])
		want = append(want, b)
	}
	wantItems(t, l, want...)
	wantItems(t, reopen(t, m, l), want...)
}

func TestUploadsIntoTheNextSegmentLeaveNothingWhenTheyBreakOff(t *testing.T) {
	for _, killed := range []bool{false, true} {
		m := newMemory(t)
		l, _, under := nearlyFull(t, m)
		for _, u := range under {
			bring(t, u, []byte(text(7000, 'x')))
		}
		want := []string{"first"}
		if !killed {
			for _, u := range under {
				u.Abort()
			}
			put(t, l, "second")
			want = append(want, "second")
			wantItems(t, l, want...)
		}
		l = reopen(t, m, l)
		wantItems(t, l, want...)
		l.Close()
	}
}

func TestAnUploadIntoTheNextSegmentEndsWithItsLog(t *testing.T) {
	m := newMemory(t)
	l, _, under := nearlyFull(t, m)
	bring(t, under[5], []byte(text(7000, 'x')))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := under[5].TryCommit(); err == nil {
		t.Error("got no error of a closed log, want one")
	}
	for _, u := range under {
		u.Abort()
	}
	wal.AwaitReadPool(l)
	if files, maps := m.InUse(); files+maps > 0 {
		t.Errorf("got %d files and %d maps in use, want none", files, maps)
	}
	wantItems(t, m.open(), "first")
}

// It does not keep the space of the segment from a queue that has fallen quiet.
func TestASlowUploadIntoTheNextSegmentMovesWhenTheLogFallsQuiet(t *testing.T) {
	for _, times := range []int{1, 16} {
		m := newMemory(t)
		o := options(m.FS)
		o.SegmentSize = int64(times) << 16
		o.Clock = clocktest.New(time.UnixMilli(1_700_000_000_000))
		o.Background = heldBackground(t, o.Clock)
		l := open(t, "/data/q", o)
		c := consumer(t, l)
		pass(t, l, c, 0, 6*perSegment*times)
		under := fillWithUploads(t, l, c, times)
		last := under[len(under)-1]
		b := text(12000, 'b')
		bring(t, last, []byte(b[:7000]))
		for _, u := range under[:len(under)-1] {
			u.Abort()
		}
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
		rest(l)
		if n := len(m.files(".spare")) + len(m.files(".seg")); !last.Aside() || n > 1 {
			t.Errorf("got aside %v and the files %q, want it moved and one segment",
				last.Aside(), m.sizes())
		}
		if used := m.Used(); used > 200<<10 {
			t.Errorf("got %d bytes in use, want a small segment: %q", used, m.sizes())
		}
		if _, err := last.Write([]byte(b[7000:])); err != nil {
			t.Fatal(err)
		}
		if _, err := last.Commit(); err != nil {
			t.Fatal(err)
		}
		wantItems(t, l, b)
		l.Close()
	}
}

// Moving it would need space that there is not, and free none that anybody waits for.
func TestAnUploadIntoTheNextSegmentOfAFullDiskStaysThere(t *testing.T) {
	m := newMemory(t)
	l, c, under := nearlyFull(t, m)
	b := []byte(text(12000, 'b'))
	bring(t, under[5], b[:7000])
	m.SetCapacity(m.Used())
	w, err := l.BeginLarge(100<<10, wal.Meta{})
	if err == nil {
		_, err = w.Write(make([]byte, 100<<10))
	}
	if !errors.Is(err, wal.ErrFull) {
		t.Fatalf("got %v for another item, want ErrFull", err)
	}
	settle(l)
	bring(t, under[5], b[7000:])
	p := commit(t, l, under[5])
	if n, _ := c.Pending(); n != 2 || string(itemAt(t, l, p)) != string(b) {
		t.Errorf("got %d items, want 2, and the last one as it came", n)
	}
}

func TestUploadsLeaveTheFirstItemOfTheNextSegmentRoom(t *testing.T) {
	m := newMemory(t)
	l, _, under := nearlyFull(t, m)
	for {
		u, err := tryUpload(l, 12000)
		if errors.Is(err, wal.ErrTooLarge) {
			break // it goes into a file of its own
		}
		if err != nil {
			t.Fatal(err)
		}
		under = append(under, u)
	}
	first := put(t, l, text(9000, 'x'))
	second := put(t, l, text(9000, 'y'))
	if second.Seq != first.Seq+1 {
		t.Errorf("got number %d after %d, want no segment without an item", second.Seq, first.Seq)
	}
	for _, u := range under {
		u.Abort()
	}
	l.Close()
}

// A log that is closed or abandoned leaves what uploads are in to them, whoever looks for space
// until its files are closed.
func TestASegmentIsNotTakenFromTheUploadsOfALogThatEnds(t *testing.T) {
	t.Run("another log is refused space", func(t *testing.T) {
		m := newMemory(t)
		o := options(m.FS)
		o.Clock = clocktest.New(time.UnixMilli(1_700_000_000_000))
		o.Background = heldBackground(t, o.Clock)
		bound := int64(1 << 30)
		o.Admit = func(n int64) error {
			if m.Used()+n > bound {
				return errors.New("over the bound")
			}
			return nil
		}
		l, other := open(t, "/data/q", o), open(t, "/data/other", o)
		c := consumer(t, l)
		consumer(t, other)
		pass(t, l, c, 0, 6*perSegment)
		under := fillWithUploads(t, l, c, 1)
		l.Abandon() // the background has yet to close the files
		bound = m.Used()
		if _, err := tryAppend(other, []byte("an item"), wal.Meta{}); err == nil {
			t.Error("got an item stored beyond the bound")
		}
		bring(t, under[5], []byte(text(1000, 'y')))
	})
	t.Run("it was cleaning up", func(t *testing.T) {
		m := newMemory(t)
		l, c := short(t, m)
		n := 6 * perSegment
		for was := l.Stats().Reused; l.Stats().Reused == was; n++ {
			put(t, l, passing(n))
			p, _ := next(t, l, c)
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
		settle(l)
		under := fillWithUploads(t, l, c, 1)
		abandoned := make(chan bool)
		m.Fail(func(op disktest.Op, name string, _ int) error {
			if op == disktest.OpSync && strings.HasSuffix(name, "consumer.off") {
				m.Fail(nil)
				go func() { l.Abandon(); close(abandoned) }()
				for l.Err() == nil {
					runtime.Gosched()
				}
			}
			return nil
		})
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
		commitAll(t, l, under[:5])
		wal.PrepareAndCleanup(l)
		select {
		case <-abandoned:
		default:
			l.Abandon()
		}
		bring(t, under[5], []byte(text(1000, 'y')))
	})
}

func commitAll(t *testing.T, l *wal.Log, under []*wal.Upload) {
	t.Helper()
	for _, u := range under {
		bring(t, u, []byte(text(12000, 'x')))
		commit(t, l, u)
	}
}
