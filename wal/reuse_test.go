package wal_test

// A queue that is kept short: its segments are used again, and nothing is lost or mistaken by that.

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// perSegment is about how many items of passing a segment holds.
const perSegment = 70

// passing is an item's payload.
func passing(i int) string { return payload(i) + strings.Repeat("-", 850) }

// pass has items come and go, one after the other.
func pass(t testing.TB, l *wal.Log, c *wal.Consumer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		put(t, l, passing(i))
		p, got := next(t, l, c)
		if got != passing(i) {
			t.Fatalf("item %d: got %.20q", i, got)
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			settle(l)
		}
	}
}

// short is a log that is kept short and has used some segments again.
func short(t testing.TB, m memory) (*wal.Log, *wal.Consumer) {
	t.Helper()
	l := m.open()
	c := consumer(t, l)
	pass(t, l, c, 0, 6*perSegment)
	if l.Stats().Reused == 0 {
		t.Fatalf("got no segment used again: %v", m.sizes())
	}
	return l, c
}

func TestAQueueThatIsKeptShortWritesTheSameFilesForEver(t *testing.T) {
	m := newMemory(t)
	l, c := short(t, m)
	used, reused := m.Used(), l.Stats().Reused
	changed := m.watch(disktest.OpCreate, disktest.OpAllocate, disktest.OpTruncate,
		disktest.OpRemove, disktest.OpRename)
	pass(t, l, c, 6*perSegment, 60*perSegment)
	if names := changed.since(); len(names) > 2 { // those that have names of their own by now
		t.Errorf("got changes of the files %q, want none", names)
	}
	if n := l.Stats().Reused - reused; n < 50 {
		t.Errorf("got %d segments used again, want at least 50", n)
	}
	if m.Used() != used {
		t.Errorf("got %d bytes on the disk, want %d as before", m.Used(), used)
	}
}

// What goes on being overwritten need not get to the disk in between.
func TestUsingASegmentAgainSyncsTheOffsetFileAlone(t *testing.T) {
	m := newMemory(t)
	l, c := short(t, m)
	syncNow(t, l)
	synced := m.watch(disktest.OpSync, disktest.OpSyncDir)
	pass(t, l, c, 6*perSegment, 20*perSegment)
	names := synced.since()
	if n := len(names); n < 10 || n > 16 {
		t.Errorf("got %d syncs for 14 segments, want one for each", n)
	}
	for _, name := range names {
		if name != "consumer.off" {
			t.Errorf("got a sync of %s, want none", name)
		}
	}
}

// burst is a log with so many segments that wait, as they were taken at once.
func burst(t *testing.T, m memory, segments int) (*wal.Log, *wal.Consumer) {
	t.Helper()
	l := m.open()
	c := consumer(t, l)
	for i := range (segments + 1) * perSegment {
		put(t, l, passing(i))
	}
	drain(t, l, c)
	wal.Cleanup(l)
	if n := len(m.files(".spare")); n < segments {
		t.Fatalf("got %q, want %d segments that wait", m.sizes(), segments)
	}
	return l, c
}

// contents are those of the segments, under whatever name.
func (m memory) contents() map[string]bool {
	all := make(map[string]bool)
	for _, name := range append(m.files(".spare"), m.files(".seg")...) {
		b, err := m.ReadFile(path.Join("/data/q", name))
		if err != nil {
			m.t.Fatal(err)
		}
		all[string(b)] = true
	}
	return all
}

// writtenSince counts the segments whose contents are new.
func (m memory) writtenSince(before map[string]bool) (n int) {
	for b := range m.contents() {
		if !before[b] {
			n++
		}
	}
	return n
}

// Those that it does not write can leave memory, and are not written to the disk again.
func TestAfterABurstAQueueThatIsKeptShortWritesFewOfTheSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	l, c := burst(t, m, 8)
	before := m.contents()
	pass(t, l, c, 1000, 1000+20*perSegment)
	if n := m.writtenSince(before); n > 3 {
		t.Errorf("got %d of %d segments written, want at most 3", n, len(before))
	}
}

func TestAQueueThatSlowsDownGivesBackTheSegmentsThatWaitedLongest(t *testing.T) {
	m := newMemory(t)
	l, c := burst(t, m, 8)
	waited := m.files(".spare") // the first is the next one
	for i := range 6 {
		pass(t, l, c, i*perSegment, (i+1)*perSegment)
		wal.ClockOf(l).(*clocktest.Clock).Step(600 * time.Millisecond)
		settle(l)
	}
	if n := len(m.contents()); n > 6 {
		t.Errorf("got %d segments left, want at most 6: %q", n, m.sizes())
	}
	if longest := waited[1:4]; slices.ContainsFunc(m.files(".spare"), func(name string) bool {
		return slices.Contains(longest, name)
	}) {
		t.Errorf("got %q, want none of %q", m.files(".spare"), longest)
	}
}

// It takes no more items.
func TestAFailedLogGivesBackTheSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	l, _ := burst(t, m, 8)
	put(t, l, "an item")
	settle(l)
	m.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpSync {
			return errors.New("a broken disk")
		}
		return nil
	})
	if err := l.Sync(); err == nil {
		t.Fatal("got no error")
	}
	settle(l)
	if names := m.files(".spare"); len(names) > 1 { // the active one may have no name yet
		t.Errorf("got %q, want none that wait", names)
	}
}

// An old item is open, and all others are taken: the segments are sealed before they are too many.
func TestSegmentsThatAreAboutToBeTakenDoNotHoldUpAppends(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.Lag = 2 * wal.MinSegmentSize
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	put(t, l, passing(0))
	next(t, l, c) // and not taken
	for i := range 6 * perSegment {
		_, err := l.TryAppend([]byte(passing(i)), wal.Meta{Flags: 7, Expires: 99})
		for try := 0; errors.Is(err, wal.ErrUnready) && try < 3; try++ {
			l.CatchUp()
			_, err = l.TryAppend([]byte(passing(i)), wal.Meta{Flags: 7, Expires: 99})
		}
		if err != nil {
			t.Fatalf("item %d: %v", i, err)
		}
		if p, _ := next(t, l, c); c.Take(p) != nil {
			t.Fatal("got an error")
		}
		settle(l)
	}
}

// A disk that is slow for a moment has segments fill that cannot be used again yet. Those made
// meanwhile are there the next time.
func TestASegmentThatWasMadeTooLateWaits(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	for i := range 3*perSegment - 10 {
		put(t, l, passing(i))
	}
	drain(t, l, c)
	var changed []string
	late := true
	m.Fail(func(op disktest.Op, name string, _ int) error {
		switch {
		case op == disktest.OpCreate && late: // others become free while it is made
			late = false
			wal.Cleanup(l)
		case op == disktest.OpCreate || op == disktest.OpRemove:
			changed = append(changed, fmt.Sprint(op, " ", path.Base(name)))
		}
		return nil
	})
	wal.PrepareAndCleanup(l)
	if late {
		t.Fatal("got no segment made")
	}
	under := begin(t, l, 7000)
	for i := range 5 * perSegment { // uploads as well, though nothing was in it yet
		pass(t, l, c, i, i+1)
		u := begin(t, l, 7000)
		bring(t, under, []byte(text(7000, 'x')))
		commit(t, l, under)
		under = u
		if p, _, _, err := c.Next(); err != nil || c.Take(p) != nil {
			t.Fatal(err)
		}
	}
	if len(changed) > 0 {
		t.Errorf("got %q, want no file made or deleted", changed)
	}
}

func TestAQueueThatPausesForAMomentKeepsTheSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	l, c := burst(t, m, 8)
	removed := m.watch(disktest.OpRemove)
	wal.ClockOf(l).(*clocktest.Clock).Step(400 * time.Millisecond)
	settle(l)
	pass(t, l, c, 1000, 1000+2*perSegment)
	if names := removed.since(); len(names) > 0 {
		t.Errorf("got %q deleted, want none", names)
	}
}

// Some of what is set has yet to be got when the next segment is full.
func TestAConsumerThatIsNearlyASegmentLateIsKeptShort(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	for i := range perSegment - 10 {
		put(t, l, passing(i))
	}
	follow := func(n int) {
		for range n {
			put(t, l, passing(0))
			p, _ := next(t, l, c)
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
			settle(l)
		}
	}
	follow(6 * perSegment)
	changed := m.watch(disktest.OpCreate, disktest.OpRemove)
	follow(20 * perSegment)
	if names := changed.since(); len(names) > 0 {
		t.Errorf("got the files %q made or deleted, want none", names)
	}
}

func TestNoQueueKeepsAllSegmentsThatMayWait(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.Clock = clocktest.New(time.UnixMilli(1_700_000_000_000))
	o.Background = heldBackground(t, o.Clock)
	o.Background.KeepForReuse(8 * wal.MinSegmentSize)
	for i, want := range []int{6, 2, 0} {
		dir := fmt.Sprint("/data/", i)
		l := open(t, dir, o)
		c := consumer(t, l)
		for i := range 9 * perSegment {
			put(t, l, passing(i))
		}
		drain(t, l, c)
		wal.Cleanup(l)
		got := 0
		for _, name := range m.Names(dir) {
			if strings.HasSuffix(name, ".spare") {
				got++
			}
		}
		if got != want {
			t.Errorf("log %d: got %d segments that wait, want %d", i, got, want)
		}
	}
}

func TestAQueueThatFallsQuietGivesBackTheSegmentsThatWait(t *testing.T) {
	for _, left := range []int{0, 1} {
		m := newMemory(t)
		l, _ := short(t, m)
		if left > 0 {
			put(t, l, "left")
		}
		rest(l)
		if names := append(m.files(".spare"), m.files(".seg")...); len(names) != 1 {
			t.Errorf("%d left: got the files %q, want one segment", left, m.sizes())
		}
	}
}

func TestAClosedLogKeepsNoSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	l, _ := short(t, m)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if names := m.files(".spare"); len(names) > 0 {
		t.Errorf("got the files %q, want none that wait", m.sizes())
	}
}

func TestSegmentsThatWaitCountAsDiskSpace(t *testing.T) {
	m := newMemory(t)
	l, _ := short(t, m)
	if got, want := l.Stats().DiskBytes, m.Used(); got < want-8<<10 || got > want {
		t.Errorf("got %d bytes, want about the %d that the files take", got, want)
	}
}

// waiting is a log of which some segments wait to be used again, and another one that has none.
func waiting(t *testing.T, m memory, admit func(int64) error) (other *wal.Log) {
	o := options(m.FS)
	o.Clock = clocktest.New(time.UnixMilli(1_700_000_000_000))
	o.Background, o.Admit = heldBackground(t, o.Clock), admit
	l, other := open(t, "/data/q", o), open(t, "/data/other", o)
	c := consumer(t, l)
	consumer(t, other)
	for i := range 6 * perSegment {
		put(t, l, passing(i))
	}
	drain(t, l, c)
	settle(l)
	if names := m.files(".spare"); len(names) < 4 {
		t.Fatalf("got %q, want some segments that wait", m.sizes())
	}
	return other
}

func TestAnItemThatIsRefusedSpaceGetsThatOfTheSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	bound := int64(1 << 30)
	other := waiting(t, m, func(n int64) error {
		if m.Used()+n > bound {
			return errors.New("over the bound")
		}
		return nil
	})
	bound = m.Used()
	put(t, other, "an item")
}

func TestAFullDiskGetsTheSpaceOfTheSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	other := waiting(t, m, nil)
	m.SetCapacity(m.Used())
	put(t, other, "an item")
}

func TestALargeItemGetsTheSpaceOfTheSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	other := waiting(t, m, nil)
	m.SetCapacity(m.Used() + 64<<10)
	large(t, other, 150<<10)
}

// The background has yet to delete it.
func TestAnItemThatIsRefusedSpaceGetsThatOfWhatIsTaken(t *testing.T) {
	for _, size := range []int64{100, 150 << 10} {
		m := newMemory(t)
		l := m.open()
		c := consumer(t, l)
		for i := range 4*perSegment - 3 {
			put(t, l, passing(i))
		}
		drain(t, l, c)
		m.SetCapacity(m.Used())
		if size > 1<<10 {
			large(t, l, size)
			continue
		}
		for range 100 {
			put(t, l, passing(0))
		}
	}
}

func TestABoundForAllLogsLimitsTheSegmentsThatWait(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	wal.BackgroundOf(l).KeepForReuse(0)
	pass(t, l, c, 0, 6*perSegment)
	if n := l.Stats().Reused; n > 0 {
		t.Errorf("got %d segments used again, want none", n)
	}
}

func TestASlowQueueKeepsNoSegmentsForReuse(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	clock := clocktest.New(time.UnixMilli(1_700_000_000_000))
	o.Clock = clock
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	for i := range 6 {
		pass(t, l, c, i*perSegment, (i+1)*perSegment)
		clock.Step(time.Minute)
		settle(l)
	}
	if n := l.Stats().Reused; n > 0 {
		t.Errorf("got %d segments used again, want none", n)
	}
}

// A loan is of the map itself.
func TestASegmentThatIsReadIsNotUsedAgain(t *testing.T) {
	m := newMemory(t)
	l, c := short(t, m)
	put(t, l, passing(0))
	p, _ := next(t, l, c)
	loan, err := l.Borrow(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Take(p); err != nil {
		t.Fatal(err)
	}
	pass(t, l, c, 1000, 1000+10*perSegment)
	if string(loan.Payload) != passing(0) {
		t.Errorf("got the payload %.20q, want what was lent", loan.Payload)
	}
	loan.Release()
}

func TestADamagedSegmentIsSetAsideAndNotUsedAgain(t *testing.T) {
	m := newMemory(t)
	l, c := short(t, m)
	put(t, l, passing(0))
	active := m.active(t)
	at := bytes.LastIndex(active.bytes, []byte(passing(0)))
	for i := range 4 {
		if err := m.Corrupt(active.path, int64(at+7*i), 0xff); err != nil {
			t.Fatal(err)
		}
	}
	pass(t, l, c, 1000, 1000+3*perSegment)
	if s := l.Stats(); s.Damaged != 1 {
		t.Errorf("got %d damaged, want 1", s.Damaged)
	}
	if !slices.Contains(m.Names("/data/q"), ".quarantine") {
		t.Errorf("got no copy of what is damaged")
	}
}

// Seed 71234500021930: a file was used again before any sync. A power cut left it the name that it
// had before, and took its header. Its items may be lost, but not come under other numbers.
func TestALostHeaderIsNotMadeUpFromANameThatNoSyncMadeSure(t *testing.T) {
	for _, synced := range []bool{false, true} {
		m := newMemory(t)
		l, _ := short(t, m)
		first := put(t, l, "first")
		for range 9 {
			put(t, l, "another")
		}
		if synced {
			syncNow(t, l)
		}
		f, cut := m.active(t), memory{m.Clone(), t}
		if err := cut.Remove(f.path); err != nil {
			t.Fatal(err)
		}
		name := f.path
		if !synced {
			name = fmt.Sprintf("/data/q/%020d.seg", f.header.First-1)
		}
		for _, at := range []int{0, 512, len(f.bytes) - 128} {
			clear(f.bytes[at:][:128])
		}
		if err := cut.WriteFile(name, f.bytes); err != nil {
			t.Fatal(err)
		}
		l.Close()
		l = cut.open()
		c := consumer(t, l)
		if n, bytes := c.Pending(); synced && bytes != int64(len("first")+9*len("another")) {
			t.Errorf("got %d bytes in %d items, want those of all 10", bytes, n)
		}
		p, got := next(t, l, c)
		switch {
		case synced && (got != "first" || p.Seq != first.Seq):
			t.Errorf("got %q as number %d, want the first item as %d", got, p.Seq, first.Seq)
		case !synced && got != "":
			t.Errorf("got %q as number %d, want nothing: it was number %d", got, p.Seq, first.Seq)
		}
		l.Close()
	}
}

// segmentFile is a file with its content.
type segmentFile struct {
	path   string
	bytes  []byte
	header segment.Header
}

// active returns the segment with the highest number, under whatever name.
func (m memory) active(t testing.TB) (f segmentFile) {
	for _, name := range append(m.files(".seg"), m.files(".spare")...) {
		p := path.Join("/data/q", name)
		h, err := segment.ReadHeader(m.FS, p)
		if err == nil && h.First >= f.header.First {
			b, err := m.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			f = segmentFile{p, b, h}
		}
	}
	return f
}

// mustRecover opens what a crash left: nothing is damaged, said or found by darner-fsck, and these
// items come.
func (m memory) mustRecover(t *testing.T, what string, want ...string) {
	t.Helper()
	if out, err := examine(m.Clone(), "/data/q"); err != nil {
		t.Errorf("%s: darner-fsck: %v %v", what, err, out)
	}
	if _, err := wal.Look(m.FS, "/data/q"); err != nil {
		t.Errorf("%s: a glance: %v", what, err)
	}
	var said bytes.Buffer
	o := options(m.FS)
	o.Logger = slog.New(slog.NewTextHandler(&said, nil))
	l := open(t, "/data/q", o)
	settle(l)
	if got := drain(t, l, consumer(t, l)); !slices.Equal(got, want) {
		t.Errorf("%s: got %.200q, want %.200q", what, got, want)
	}
	settle(l)
	if s := l.Stats(); s.Damaged > 0 || said.Len() > 0 {
		t.Errorf("%s: got %d damaged and %q, want a quiet recovery", what, s.Damaged, said.String())
	}
	put(t, l, "one more")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if names := m.files(".spare"); len(names) > 0 {
		t.Errorf("%s: got the files %q, want no spare", what, names)
	}
}

func TestAfterAKillASegmentIsFoundByItsHeader(t *testing.T) {
	m := newMemory(t)
	l, c := short(t, m)
	image := func() memory { return memory{m.Clone(), t} }
	image().mustRecover(t, "all taken")
	put(t, l, "last")
	image().mustRecover(t, "one left", "last")
	syncNow(t, l) // it gets its name
	image().mustRecover(t, "named", "last")
	next(t, l, c)

	killed := image()
	f := killed.active(t)
	const former = "/data/q/00000000000000000001.seg"
	if err := killed.Rename(f.path, former); err != nil {
		t.Fatal(err)
	}
	killed.mustRecover(t, "under the name that its file had before", "last")
}

// A power cut takes the header and the records of the new use, but not the name.
func TestANameWhoseHeaderNeverReachedTheDiskIsForgotten(t *testing.T) {
	m := newMemory(t)
	l, c := short(t, m)
	before := make(map[string][]byte) // by the salt of the file
	for _, name := range append(m.files(".seg"), m.files(".spare")...) {
		p := path.Join("/data/q", name)
		if h, err := segment.ReadHeader(m.FS, p); err == nil {
			before[salt(h)], _ = m.ReadFile(p)
		}
	}
	pass(t, l, c, 1000, 1000+2*perSegment)
	syncNow(t, l)
	cut := memory{m.Clone(), t}
	f := cut.active(t)
	old := before[salt(f.header)]
	if old == nil || bytes.Equal(old, f.bytes) {
		t.Fatalf("%s was not used again", f.path)
	}
	if err := cut.WriteFile(f.path, old); err != nil {
		t.Fatal(err)
	}
	cut.mustRecover(t, "the old content")

	// Or of what is in it, some pages are old and some new.
	for page := 4096; page < len(f.bytes); page += 4096 {
		for _, mixed := range [][]byte{
			append(bytes.Clone(old[:page]), f.bytes[page:]...),
			append(bytes.Clone(f.bytes[:page]), old[page:]...),
		} {
			cut := memory{m.Clone(), t}
			if err := cut.WriteFile(f.path, mixed); err != nil {
				t.Fatal(err)
			}
			cut.mustRecover(t, "mixed content")
		}
	}
}

func salt(h segment.Header) string { return string(slog.Uint64Value(h.Salt).String()) }

// Later its name may not be enough: see the test before.
func TestAHeaderThatWasMadeAgainIsOnTheDiskFromThenOn(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	for i := range 5 {
		put(t, l, payload(i))
	}
	syncNow(t, l)
	f, cut := m.active(t), memory{m.Clone(), t}
	for _, at := range []int64{0, 512} {
		clear(f.bytes[at:][:128])
	}
	if err := cut.WriteFile(f.path, f.bytes); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = cut.open()
	if h, err := segment.ReadHeader(cut.FS, f.path); err != nil || h.First != f.header.First {
		t.Errorf("got a header from %d and %v, want one from %d", h.First, err, f.header.First)
	}
	put(t, l, payload(5))
	l = reopen(t, cut, l)
	if got := drain(t, l, consumer(t, l)); len(got) != 6 {
		t.Errorf("got %d items, want 6", len(got))
	}
	l.Close()
}

// A client that sends half an item and stalls must not have the disk fill.
func TestAStalledUploadDoesNotHoldBackTheSegmentsAfterIt(t *testing.T) {
	m := newMemory(t)
	l, c := short(t, m)
	used := m.Used()
	stalled, whole := begin(t, l, 10000), text(10000, 'x')
	bring(t, stalled, []byte(whole[:5000]))
	pass(t, l, c, 1000, 1000+20*perSegment)
	if n := m.Used() - used; n > 2*wal.MinSegmentSize {
		t.Errorf("got %d bytes more on the disk, want at most two segments: %q", n, m.sizes())
	}
	image := memory{m.Clone(), t}
	bring(t, stalled, []byte(whole[5000:]))
	commit(t, l, stalled)
	wantItems(t, l, whole)
	wantItems(t, reopen(t, m, l), whole)
	image.mustRecover(t, "killed meanwhile")
}

// An item may hold a segment, or look like one.
func TestAHeaderIsNotMadeAgainFromWhatIsInAnItem(t *testing.T) {
	other := newMemory(t)
	l := other.open()
	for i := range 30 {
		put(t, l, payload(i))
	}
	syncNow(t, l)
	inside := other.active(t).bytes[segment.HeaderSize:][:1500]

	m := newMemory(t)
	l = m.open()
	put(t, l, strings.Repeat("-", 4096)+string(inside))
	for i := range 30 {
		put(t, l, payload(i))
	}
	syncNow(t, l)
	f, cut := m.active(t), memory{m.Clone(), t}
	clear(f.bytes[:4096])
	if err := cut.WriteFile(f.path, f.bytes); err != nil {
		t.Fatal(err)
	}
	l = cut.open()
	if h, err := segment.ReadHeader(cut.FS, f.path); err == nil {
		t.Errorf("got a header from %d, want none", h.First)
	}
	l.Close()
}

func TestAStalledUploadMovesIntoTheSpaceOfWhatIsTaken(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	stalled, whole := begin(t, l, 10000), text(10000, 'x')
	bring(t, stalled, []byte(whole[:5000]))
	for i := range 4 * perSegment {
		put(t, l, passing(i))
	}
	drain(t, l, c)
	wal.ClockOf(l).(*clocktest.Clock).Step(2 * time.Second)
	m.SetCapacity(m.Used())
	wal.Cleanup(l)
	if !stalled.Aside() {
		t.Fatal("got an upload that was not moved: this test shows nothing")
	}
	if _, err := stalled.Write([]byte(whole[5000:])); err != nil {
		t.Fatal(err)
	}
	if _, err := stalled.Commit(); err != nil {
		t.Error(err)
	}
	wantItems(t, l, whole)
	l.Close()
}
