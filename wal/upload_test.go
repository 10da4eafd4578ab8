package wal_test

// Uploads into the log: pieces of any size, several at once, those that break off, slow ones.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// tryUpload is TryUpload that waits for room to be made, but not for the backlog of sealing.
func tryUpload(l *wal.Log, size int) (u *wal.Upload, err error) {
	return tryUploadWith(l, size, wal.Meta{Flags: 5})
}

func tryUploadWith(l *wal.Log, size int, m wal.Meta) (u *wal.Upload, err error) {
	for u, err = l.TryUpload(size, m); err == wal.ErrUnready; u, err = l.TryUpload(size, m) {
		l.CatchUp()
	}
	return u, err
}

// begin begins an upload.
func begin(t testing.TB, l *wal.Log, size int) *wal.Upload {
	t.Helper()
	u, err := tryUpload(l, size)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// bring brings a piece, by whatever way the log prefers.
func bring(t testing.TB, u *wal.Upload, piece []byte) {
	t.Helper()
	for len(piece) > 0 {
		if room := u.Lend(); room != nil {
			n := copy(room, piece)
			if last := u.Lent(n, false); last != piece[n-1] {
				t.Fatalf("got %q as the last byte, want %q", last, piece[n-1])
			}
			piece = piece[n:]
			continue
		}
		n, err := u.TryWrite(piece)
		if err != nil {
			t.Fatal(err)
		}
		piece = piece[n:]
	}
}

// commit commits, and has room made for it.
func commit(t testing.TB, l *wal.Log, u *wal.Upload) wal.Position {
	t.Helper()
	p, err := u.TryCommit()
	for err == wal.ErrUnready && !u.Aside() {
		l.CatchUp()
		p, err = u.TryCommit()
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantItems reads what a new consumer is handed, and takes nothing.
func wantItems(t testing.TB, l *wal.Log, want ...string) {
	t.Helper()
	c, err := l.Consumer("reader", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	defer l.RemoveConsumer("reader")
	for i, w := range want {
		p, _, ok, err := c.Next()
		if err != nil || !ok {
			t.Fatalf("item %d: got none and %v, want %.20q", i, err, w)
		}
		if got := string(itemAt(t, l, p)); got != w {
			t.Fatalf("item %d: got %d bytes, %.20q, want %d, %.20q", i, len(got), got, len(w), w)
		}
	}
	if p, _, ok, err := c.Next(); ok || err != nil {
		t.Fatalf("got item %d of %d bytes and %v, want the end", p.Seq, p.Size, err)
	}
	if n := l.Stats().Damaged; n > 0 {
		t.Errorf("got %d counted as damaged, want none", n)
	}
}

func text(size int, first byte) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = first + byte(i*7%61)
	}
	return string(b)
}

func TestAnItemComesInPiecesOfAnySize(t *testing.T) {
	const size = 5000
	for _, piece := range []int{1, 2, 7, 8, 511, 4096, size - 1, size} {
		m := newMemory(t)
		l := m.open()
		consumer(t, l)
		var want []string
		for i := range 3 { // the second comes into pages that the first left
			b := []byte(text(size, byte('A'+i)))
			u := begin(t, l, size)
			for part := range slices.Chunk(b, piece) {
				bring(t, u, part)
			}
			if i == 0 {
				u.Abort()
				continue
			}
			if p := commit(t, l, u); p.Size != size || p.Flags != 5 || p.Large() {
				t.Fatalf("got %+v, want an item of %d bytes with its flags", p, size)
			}
			want = append(want, string(b))
		}
		wantItems(t, l, want...)
		l = reopen(t, m, l)
		wantItems(t, l, want...)
	}
}

// reopen kills the process and opens the log again.
func reopen(t testing.TB, m memory, l *wal.Log) *wal.Log {
	t.Helper()
	l.Abandon()
	settle(l)
	return memory{m.Clone(), t}.open()
}

func TestUploadsAndOtherItemsCrossInTheOrderInWhichTheyAreWhole(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	a, b := text(9000, 'a'), text(12000, 'b')
	ua, ub := begin(t, l, len(a)), begin(t, l, len(b))
	bring(t, ua, []byte(a[:4000]))
	put(t, l, "one")
	bring(t, ub, []byte(b))
	put(t, l, "two")
	commit(t, l, ub)
	bring(t, ua, []byte(a[4000:]))
	put(t, l, "three")
	commit(t, l, ua)
	want := []string{"one", "two", b, "three", a}
	wantItems(t, l, want...)
	wantItems(t, reopen(t, m, l), want...)
}

func TestAnUploadIntoTheLogThatBreaksOffLeavesNothing(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	put(t, l, "one")
	last := begin(t, l, 10000)
	bring(t, last, []byte(text(5000, 'x')))
	last.Abort()
	last.Abort()
	for i := range 50 { // its room is used again: the segment has 64 KiB
		u := begin(t, l, 10000)
		bring(t, u, []byte(text(10000, byte(i))))
		u.Abort()
	}
	middle := begin(t, l, 10000)
	bring(t, middle, []byte(text(10000, 'x')))
	put(t, l, "two")
	middle.Abort()
	if _, err := middle.TryCommit(); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("TryCommit after Abort: got %v, want ErrClosed", err)
	}
	if n := l.Stats().Segments; n != 1 {
		t.Errorf("got %d segments, want 1", n)
	}
	wantItems(t, l, "one", "two")
	wantItems(t, reopen(t, m, l), "one", "two")
}

func TestAnUploadMustBeAsLongAsAnnounced(t *testing.T) {
	l := newMemory(t).open()
	u := begin(t, l, 10)
	if _, err := u.TryCommit(); err == nil {
		t.Error("got a commit of 0 bytes of 10, want an error")
	}
	bring(t, u, []byte("123456789"))
	if _, err := u.TryWrite([]byte("ab")); err == nil {
		t.Error("got 11 bytes of 10, want an error")
	}
	bring(t, u, []byte("0"))
	commit(t, l, u)
	wantItems(t, l, "1234567890")
	if _, err := l.TryUpload(1<<20, wal.Meta{}); !errors.Is(err, wal.ErrTooLarge) {
		t.Errorf("got %v for an item over InlineMax, want ErrTooLarge", err)
	}
}

// roll fills the active segment until another one takes appends.
func roll(t testing.TB, l *wal.Log) (stored []string) {
	t.Helper()
	for n := l.Stats().Segments; l.Stats().Segments == n; {
		s := text(3000, byte(len(stored)))
		put(t, l, s)
		stored = append(stored, s)
	}
	return stored
}

func TestAnUploadWhoseSegmentIsFullMovesOn(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	b := text(12000, 'b')
	u := begin(t, l, len(b))
	bring(t, u, []byte(b[:6000]))
	want := roll(t, l)
	bring(t, u, []byte(b[6000:]))
	if p := commit(t, l, u); p.Large() {
		t.Error("got a large item, want one in the log")
	}
	want = append(want, b)
	wantItems(t, l, want...)
	settle(l)
	wantItems(t, l, want...)
	wantItems(t, reopen(t, m, l), want...)
}

// What came is damaged before its record is there. No copy of it may get a checksum that verifies.
func TestADamagedUploadIsNotCopied(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	b := text(12000, 'b')
	u := begin(t, l, len(b))
	bring(t, u, []byte(b))
	name := "/data/q/" + m.files(".seg")[0]
	data, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), b)
	want := roll(t, l)
	if err := m.Corrupt(name, int64(at)+5000, 0xff); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(); !errors.Is(err, wal.ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
	u.Abort()
	wantItems(t, l, want...)
	l.Close()
}

// slowUpload is an upload into a segment that takes no more appends, before and after the time that
// the segment waits for it.
func slowUpload(
	t *testing.T, m memory, came int,
) (l *wal.Log, u *wal.Upload, b string, others []string) {
	l = m.open()
	consumer(t, l)
	b = text(12000, 'b')
	u = begin(t, l, len(b))
	bring(t, u, []byte(b[:came]))
	others = roll(t, l)
	settle(l)
	if u.Aside() || len(m.files(".part")) > 0 {
		t.Fatal("got the upload moved at once, want some patience")
	}
	wal.ClockOf(l).(*clocktest.Clock).Step(time.Second)
	settle(l)
	return l, u, b, others
}

func TestASlowUploadHoldsNoSegmentUp(t *testing.T) {
	for _, came := range []int{0, 1, 6000, 12000} {
		m := newMemory(t)
		l, u, b, want := slowUpload(t, m, came)
		if !u.Aside() || len(m.files(".part")) != 1 {
			t.Fatalf("%d bytes came: got files %v, want the upload in one of its own", came, m.files(""))
		}
		if u.Lend() != nil {
			t.Error("got memory of the log, want none")
		}
		if came < len(b) {
			if _, err := u.TryWrite([]byte(b[came:])); err != wal.ErrUnready {
				t.Errorf("TryWrite: got %v, want ErrUnready", err)
			}
			if _, err := u.Write([]byte(b[came:])); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := u.TryCommit(); err != wal.ErrUnready {
			t.Errorf("TryCommit: got %v, want ErrUnready", err)
		}
		p, err := u.Commit()
		if err != nil || !p.Large() {
			t.Fatalf("got %+v and %v, want a large item", p, err)
		}
		want = append(want, b)
		wantItems(t, l, want...)
		wantItems(t, reopen(t, m, l), want...)
	}
}

func TestASlowUploadThatBreaksOffLeavesNoFile(t *testing.T) {
	m := newMemory(t)
	l, u, _, want := slowUpload(t, m, 100)
	u.Abort()
	if n := m.files(".part"); len(n) > 0 {
		t.Errorf("got %v, want no file of the upload", n)
	}
	wantItems(t, l, want...)
}

func TestASegmentWhoseUploadMovedAwayIsSealedAndDeleted(t *testing.T) {
	m := newMemory(t)
	l, u, _, _ := slowUpload(t, m, 100)
	c := consumer(t, l)
	for {
		p, _, ok, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	settle(l)
	if n := l.Stats().Segments; n != 1 {
		t.Errorf("got %d segments, want 1", n)
	}
	u.Abort()
}

func TestUploadsGiveWayToTheBacklogAtOnce(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.Lag = 2 * o.SegmentSize
	l := open(t, "/data/q", o)
	consumer(t, l)
	u := begin(t, l, 12000)
	bring(t, u, []byte("some of it"))
	var err error
	for err == nil {
		_, err = tryAppend(l, []byte(text(3000, 'x')), wal.Meta{})
	}
	if !errors.Is(err, wal.ErrBacklog) {
		t.Fatalf("got %v, want ErrBacklog", err)
	}
	settle(l)
	if !u.Aside() {
		t.Error("got the upload in its old segment, want it moved")
	}
	put(t, l, "goes on")
	u.Abort()
}

func TestAnUploadWhoseDiskIsFullIsRefusedAndNothingElse(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	put(t, l, "one")
	m.SetCapacity(m.Used())
	n := 0
	var us []*wal.Upload
	for {
		u, err := l.TryUpload(12000, wal.Meta{})
		if err == wal.ErrUnready {
			l.CatchUp()
			continue
		}
		if err != nil {
			if !errors.Is(err, wal.ErrFull) {
				t.Fatalf("got %v, want ErrFull", err)
			}
			break
		}
		us = append(us, u)
		n++
	}
	for _, u := range us {
		u.Abort()
	}
	m.SetCapacity(-1)
	u := begin(t, l, 12000)
	b := text(12000, 'b')
	bring(t, u, []byte(b))
	commit(t, l, u)
	wantItems(t, l, "one", b)
}

// The disk is too full for a file when the upload has to move.
func TestASlowUploadThatCannotMoveIsRefused(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	u := begin(t, l, 12000)
	bring(t, u, []byte("some of it"))
	want := roll(t, l)
	settle(l)
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpCreate && strings.HasSuffix(name, ".part") {
			return syscall.ENOSPC
		}
		return nil
	})
	wal.ClockOf(l).(*clocktest.Clock).Step(time.Second)
	settle(l)
	m.Fail(nil)
	if _, err := u.TryWrite([]byte("more")); !errors.Is(err, wal.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	u.Abort()
	put(t, l, "goes on")
	wantItems(t, l, append(want, "goes on")...)
}

func TestAnUploadEndsWithItsLog(t *testing.T) {
	for name, end := range map[string]func(*wal.Log){
		"closed":    func(l *wal.Log) { l.Close() },
		"abandoned": func(l *wal.Log) { l.Abandon() },
	} {
		m := newMemory(t)
		l := m.open()
		put(t, l, "one")
		whole, broken := begin(t, l, 10), begin(t, l, 10)
		end(l)
		bring(t, whole, []byte("0123456789"))
		if _, err := whole.TryCommit(); !errors.Is(err, wal.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
		whole.Abort()
		broken.Abort()
		if _, err := l.TryUpload(10, wal.Meta{}); !errors.Is(err, wal.ErrClosed) {
			t.Errorf("%s: got %v for another one, want ErrClosed", name, err)
		}
		settle(l)
		wal.AwaitReadPool(l)
		if files, maps := m.InUse(); files+maps > 0 {
			t.Errorf("%s: got %d files and %d maps in use, want none", name, files, maps)
		}
	}
}

func TestAConsumerPassesOverPayloadsThatNeverBecameItems(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	put(t, l, "one")
	var us []*wal.Upload
	for l.Stats().Segments == 1 { // the segment ends with them
		us = append(us, begin(t, l, 12000))
	}
	put(t, l, "two")
	for _, u := range us {
		u.Abort()
	}
	for _, want := range []string{"one", "two"} {
		if _, got := next(t, l, c); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	wantItems(t, reopen(t, m, l), "one", "two")
}

func TestAConsumerThatSkippedAnUploadMissesNothingWhenThatBreaksOff(t *testing.T) {
	l := newMemory(t).open()
	c := consumer(t, l)
	u := begin(t, l, 5000)
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	u.Abort()
	put(t, l, "one")
	if _, got := next(t, l, c); got != "one" {
		t.Fatalf("got %q, want one", got)
	}
}

func TestUploadsAllocateLittle(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	b := []byte(text(4000, 'b'))
	n := testing.AllocsPerRun(100, func() {
		u := begin(t, l, len(b))
		bring(t, u, b[:1000])
		bring(t, u, b[1000:])
		u.Abort()
	})
	if n > 2 {
		t.Errorf("got %v allocations for an upload, want 2 at most", n)
	}
}

func TestManyUploadsMayCrossWithMovesAndBreaks(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	type one struct {
		u   *wal.Upload
		b   []byte
		got int
	}
	var coming []*one
	var want []string
	for i := range 600 {
		if len(coming) < 8 {
			b := []byte(fmt.Sprintf("%04d", i) + text(200+i*37%9000, byte(i)))
			coming = append(coming, &one{u: begin(t, l, len(b)), b: b})
		}
		at := i * 5 % len(coming)
		x := coming[at]
		piece := x.b[x.got:min(len(x.b), x.got+1+i*131%4000)]
		x.got += len(piece)
		if x.u.Aside() {
			if _, err := x.u.Write(piece); err != nil {
				t.Fatal(err)
			}
		} else {
			bring(t, x.u, piece)
		}
		switch {
		case i%41 == 0:
			x.u.Abort()
		case x.got == len(x.b) && x.u.Aside():
			if _, err := x.u.Commit(); err != nil {
				t.Fatal(err)
			}
			want = append(want, string(x.b))
		case x.got == len(x.b):
			commit(t, l, x.u)
			want = append(want, string(x.b))
		default:
			continue
		}
		coming = slices.Delete(coming, at, at+1)
		if i%7 == 0 {
			wal.ClockOf(l).(*clocktest.Clock).Step(300 * time.Millisecond)
			settle(l)
		}
	}
	wantItems(t, l, want...)
	wantItems(t, reopen(t, m, l), want...)
}

// A process may die with uploads under way.
func TestRecoveryPassesOverUploadsUnderWay(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	put(t, l, "one")
	bring(t, begin(t, l, 12000), bytes.Repeat([]byte("x"), 12000))
	put(t, l, "two")
	begin(t, l, 12000)
	l = reopen(t, m, l)
	wantItems(t, l, "one", "two")
	put(t, l, "three")
	wantItems(t, l, "one", "two", "three")
}

// itemAt reads an item, wherever it is.
func itemAt(t testing.TB, l *wal.Log, p wal.Position) (b []byte) {
	t.Helper()
	var err error
	if p.Large() {
		var r io.ReadCloser
		if r, err = l.Open(p); err == nil {
			b, err = io.ReadAll(r)
			r.Close()
		}
	} else {
		b, _, err = l.Read(p, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Two segments must never begin with one number, whatever fills the first one before it has an
// item: then one file would take the place of the other.
func TestUploadsThatFillASegmentBeforeItsFirstItemLoseNothing(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	size := 8 << 10
	var under []*wal.Upload
	for range 100 {
		u, err := tryUpload(l, size)
		if errors.Is(err, wal.ErrTooLarge) {
			break // it goes into a file of its own
		}
		if err != nil {
			t.Fatal(err)
		}
		under = append(under, u)
	}
	if len(under) < 4 {
		t.Fatalf("got %d uploads at once, want some", len(under))
	}
	// Small items fill the rest.
	var want []string
	for i := range 3000 {
		if p := put(t, l, payload(i)); p.Seq != uint64(i+1) {
			t.Fatalf("got number %d for item %d, want no segment without an item", p.Seq, i+1)
		}
		want = append(want, payload(i))
	}
	for i, u := range under {
		bring(t, u, []byte(text(size, byte('a'+i))))
		commit(t, l, u)
		want = append(want, text(size, byte('a'+i)))
	}
	settle(l)
	wantItems(t, l, want...)
	l = reopen(t, m, l)
	wantItems(t, l, want...)
	if s := l.Stats(); s.Damaged > 0 {
		t.Errorf("got %d damaged, want none", s.Damaged)
	}
	l.Close()
}
