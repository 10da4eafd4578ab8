package wal_test

// Uploads that begin in the next segment, because the active one has no room for them.

import (
	"testing"

	"github.com/darner/darner/wal"
)

// nearlyFull is a log that is kept short whose active segment has an item and no room for another
// upload of 12000 bytes beside those under way. The last one under way is in the next segment.
func nearlyFull(t *testing.T, m memory) (l *wal.Log, c *wal.Consumer, under []*wal.Upload) {
	t.Helper()
	l, c = short(t, m)
	n := 6 * perSegment
	for was := l.Stats().Reused; l.Stats().Reused == was; n++ {
		pass(t, l, c, n, n+1)
	}
	settle(l) // the segment before is taken, and is the next one
	put(t, l, "first")
	segments := l.Stats().Segments
	for range 6 { // 72,000 bytes
		under = append(under, begin(t, l, 12000))
	}
	if n := l.Stats().Segments; n != segments {
		t.Fatalf("got %d segments, want %d: the last upload is to begin in the next one", n, segments)
	}
	return l, c, under
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
	m := newMemory(t)
	l, c, under := nearlyFull(t, m)
	b := text(12000, 'b')
	bring(t, under[5], []byte(b[:7000]))
	for _, u := range under[:5] {
		u.Abort()
	}
	p, _ := next(t, l, c)
	if err := c.Take(p); err != nil {
		t.Fatal(err)
	}
	rest(l)
	if n := len(m.files(".spare")) + len(m.files(".seg")); !under[5].Aside() || n > 1 {
		t.Errorf("got aside %v and the files %q, want it moved and one segment",
			under[5].Aside(), m.sizes())
	}
	if _, err := under[5].Write([]byte(b[7000:])); err != nil {
		t.Fatal(err)
	}
	if _, err := under[5].Commit(); err != nil {
		t.Fatal(err)
	}
	wantItems(t, l, b)
	l.Close()
}
