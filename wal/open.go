package wal

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
	"github.com/darner/darner/wal/internal/settle"
)

// Open opens the log in a directory, which it makes if need be, and recovers the log after any
// crash: it cuts off a torn tail, finishes renames of segments and offset files, and removes
// uploads that broke off. It reads only the segments that were not sealed, so the time does not
// depend on the size of the log. Errors are ErrInUse and those of the disk. Damage is no error: it
// is counted, logged and set aside.
//
// The log keeps a lock on its directory until Close or Abandon, on file systems that have locks.
// See Options.Guarded for many logs under one lock.
func Open(dir string, o Options) (*Log, error) {
	o, err := o.withDefaults(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		dir: dir, fs: o.FS, o: o, log: o.Logger.With("queue", filepath.Base(dir)),
		background: o.Background, consumers: make(map[string]*Consumer),
		created: clock.UnixMilli(o.Clock),
	}
	l.compaction.l = l
	l.commit.init()
	l.dirty.timer = clock.NewTimer(o.Clock, func() { l.background.syncs.due(l) })
	l.compaction.timer = clock.NewTimer(o.Clock, l.compaction.lookAgain)
	l.idle.timer = clock.NewTimer(o.Clock, l.idleTimerFired)
	l.slow = clock.NewTimer(o.Clock, l.requestCleanup)
	if l.background == nil {
		l.background = NewBackground(0, o.Clock)
	}
	if err := l.recover(); err != nil {
		l.Abandon()
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	return l, nil
}

// recover reads and repairs what is in the directory. It holds Log.mu from where it changes the
// log; functions that recovery alone calls do not say so.
func (l *Log) recover() error {
	if err := l.takeLock(); err != nil && !isNotExist(err) {
		return err
	}
	d, err := files.List(l.fs, l.dir)
	if isNotExist(err) {
		if err = l.makeDir(); err == nil {
			err = l.takeLock()
		}
	}
	if err != nil {
		return err
	}
	l.dirty.shares = l.background.syncs.holds(l.dir)
	l.mu.Lock() // nobody else has the log yet, but what follows calls functions that need it held
	defer l.mu.Unlock()
	if err := l.identify(&d); err != nil {
		return err
	}
	settled, err := l.settle(&d)
	if err != nil {
		return err
	}
	if err := l.dropSuperseded(&d); err != nil {
		return err
	}
	if err := l.openSegments(d.Of[files.Segment], settled); err != nil {
		return err
	}
	if err := l.loadConsumers(&d); err != nil {
		return err
	}
	l.resumeNumbers()
	// Its file was lost, and what it has not taken must stay.
	if len(l.consumers) > 0 && l.consumers[""] == nil {
		l.consumers[""] = l.newConsumerLocked("", Oldest)
	}
	if err := l.recoverBodies(&d); err != nil {
		return err
	}
	l.missing.spans = l.gaps()
	counted := l.stats.damaged.Load()
	for _, c := range l.consumers {
		c.loseMissing()
	}
	l.reportEarlyEnd(l.stats.damaged.Load() > counted)
	if len(l.files) > 0 {
		l.requestCleanup()
		l.compaction.request()
	}
	l.checkWasteLocked()
	return l.markAllDirty()
}

// makeDir makes the log's directory, which the first sync makes durable in its parent. A parent
// that is new too is made durable at once.
func (l *Log) makeDir() error {
	parent := filepath.Dir(l.dir)
	if _, err := l.fs.Allocated(parent); isNotExist(err) {
		if err := disk.MakeDir(l.fs, parent); err != nil {
			return err
		}
	}
	l.dirty.newDir = true
	return l.fs.Mkdir(l.dir)
}

// markAllDirty makes the first sync write everything: a killed process may have left it in memory
// alone.
func (l *Log) markAllDirty() error {
	if len(l.files)+len(l.consumers) == 0 {
		return nil
	}
	for _, c := range l.consumers {
		c.dirty = true
	}
	l.dirty.dir, l.dirty.names, l.dirty.newDir = true, true, true
	l.touchLocked()
	return l.markBodiesDirty()
}

// markBodiesDirty does so for the bodies of unsealed segments: the bodies of a sealed one are
// synced.
func (l *Log) markBodiesDirty() (err error) {
	for _, f := range l.files {
		if f.seg == nil || f.seg.Sealed() || f.seg.Totals().Large == 0 {
			continue
		}
		eachRecord(f.seg, func(r segment.Record) {
			if r.Kind == segment.KindLarge && err == nil {
				err = l.markBodyDirty(r)
				l.uploads.noteMaybeTorn(r.Seq, l.durable)
			}
		})
	}
	return err
}

func (l *Log) markBodyDirty(r segment.Record) error {
	f, err := l.fs.Open(l.path(files.BodyName(r.Seq)))
	if isNotExist(err) {
		return nil // taken, or lost, which its reader will find
	}
	if err != nil {
		return err
	}
	if len(l.uploads.unsynced) < maxUnsynced && !l.background.bodies.full() {
		l.keepBodyLocked(r.Seq, f)
		return nil
	}
	return errors.Join(f.Sync(), f.Close())
}

// settle gives segments that were started under another name their own, and removes what is none.
// It returns the number below which every consumer has taken everything; 0 if that is not known.
func (l *Log) settle(d *files.Listing) (s settle.Settled, err error) {
	for _, f := range d.Of[files.Spare] {
		l.spare.made = max(l.spare.made, f.Number)
	}
	if s, err = settle.Look(l.fs, l.dir, d, l.id); err != nil {
		return s, err
	}
	for _, f := range s.Outdated {
		l.dirty.dir = true
		if err := l.fs.Remove(l.path(f.Name)); err != nil {
			return s, err
		}
	}
	for _, f := range s.Unused {
		if err := l.dropUnused(f); err != nil {
			return s, err
		}
	}
	for i := range s.Segments {
		if err := l.rename(&s.Segments[i]); err != nil {
			return s, err
		}
	}
	d.Of[files.Segment] = s.Segments
	return s, nil
}

// rename gives a segment its name, unless it has it. On a full disk it keeps the one it has.
func (l *Log) rename(f *files.Info) error {
	name := files.SegmentName(f.Number)
	if f.Cold || f.Name == name {
		return nil
	}
	err := l.fs.Rename(l.path(f.Name), l.path(name))
	if disk.IsFull(err) {
		return nil
	}
	f.Name, l.dirty.dir = name, true
	return err
}

// dropUnused removes a spare that was never started, and sets aside one that cannot be read.
func (l *Log) dropUnused(f files.Info) error {
	path := l.path(f.Name)
	seg, _, err := l.openOwn(path, segment.OpenOptions{})
	if err == nil {
		err = errors.Join(seg.Close(), fmt.Errorf("%w: another file has the name of the segment "+
			"that is in it", segment.ErrNotSegment))
	}
	return l.discard(path, err)
}

// dropSuperseded removes what a crash left of a compaction: unfinished cold segments, and the
// segments that a finished one replaces.
func (l *Log) dropSuperseded(d *files.Listing) (err error) {
	for _, f := range d.Of[files.Unfinished] {
		if err := l.fs.Remove(l.path(f.Name)); err != nil {
			return err
		}
		l.dirty.dir = true
	}
	d.Of[files.Segment], err = files.WithoutSuperseded(d.Of[files.Segment], l.supersede)
	return err
}

// supersede removes the file of old, unless the cold segment that replaces it is unreadable. Then
// it sets the cold segment aside, and gone is false.
func (l *Log) supersede(cold, old files.Info) (gone bool, err error) {
	l.dirty.dir = true
	seg, _, err := l.openOwn(l.path(cold.Name), segment.OpenOptions{First: cold.Number})
	if err == nil {
		return true, errors.Join(seg.Close(), l.fs.Remove(l.path(old.Name)))
	}
	if !segment.Unreadable(err) || isNotExist(err) {
		return false, err
	}
	return false, l.discard(l.path(cold.Name), err)
}

// discard removes a segment that never began, and sets aside an unreadable one.
func (l *Log) discard(path string, why error) error {
	if errors.Is(why, segment.ErrBlank) {
		l.dirty.dir = true
		return l.fs.Remove(path)
	}
	if !segment.Unreadable(why) {
		return why
	}
	to, err := l.moveAside(path)
	if err != nil {
		return err
	}
	if errors.Is(why, segment.ErrForeign) {
		l.noteLost(1)
	}
	l.log.Error("unreadable segment set aside", "file", path, "now", to, "error", why)
	return nil
}

// openSegments opens the segments that were not sealed. Segments are sealed in order, so those are
// the last ones; the last sealed one is opened too, because it says where the others begin. Those
// that are all below head are not looked at: they will be deleted, and may be half overwritten.
func (l *Log) openSegments(list []files.Info, s settle.Settled) error {
	var found []*file // newest first
	scanning := true
	for i := len(list) - 1; i >= 0; i-- {
		f := &file{
			first: list[i].Number, path: l.path(list[i].Name), sealed: true, size: list[i].Size,
			cold: list[i].Cold, through: list[i].Through,
		}
		f.named = f.cold || f.path == l.path(files.SegmentName(f.first))
		taken := len(found) > 0 && found[len(found)-1].first <= s.Head
		if scanning && (!taken || f.cold) {
			err := l.openSegment(f, s)
			if err != nil {
				if err := l.discard(f.path, err); err != nil {
					l.files = found // for Abandon to close
					return err
				}
				// Otherwise the segments after it show what is missing.
				if len(found) == 0 && !errors.Is(err, segment.ErrBlank) &&
					!errors.Is(err, segment.ErrForeign) {
					most := uint64(l.o.SegmentSize / segment.RecordSize(0))
					l.missing.unreadableBelow = max(l.missing.unreadableBelow, f.first+most)
				}
				continue
			}
			scanning = !f.seg.Sealed()
		}
		found = append(found, f)
	}
	for i := len(found) - 1; i >= 0; i-- {
		l.files = append(l.files, found[i])
	}
	l.next = 1
	if len(found) == 0 {
		return nil
	}
	last := found[0]
	h, t := last.seg.Header(), last.seg.Totals()
	l.next = max(last.first, t.Last+1)
	l.total = totals{
		items: h.ItemsBefore + t.Items, bytes: h.BytesBefore + t.Bytes + largeBytes(last.seg),
		due: max(h.DueBefore, t.LatestDue), expiring: h.Expiring || t.EarliestExpiry != 0,
	}
	if h.DueBefore == segment.NotKnown {
		l.total.due = math.MaxInt64
	}
	last.planLocked()
	l.created = h.Created // of the last segment; the own consumer's file knows better
	return nil
}

func (l *Log) openSegment(f *file, s settle.Settled) error {
	seg, found, err := l.openOwn(f.path, segment.OpenOptions{Write: true})
	var lost []segment.Damage
	if errors.Is(err, segment.ErrHeaderLost) {
		if lost = l.restoreHeader(f, s); lost != nil {
			seg, found, err = l.openOwn(f.path, segment.OpenOptions{Write: true})
		}
	}
	unwritable := errors.Is(err, segment.ErrFault) || errors.Is(err, segment.ErrHeaderLost) ||
		errors.Is(err, segment.ErrNotSegment)
	if unwritable { // treat what can be read of it as sealed
		l.log.Error("damaged segment is read-only; new items go to the next one",
			"file", f.path, "error", err)
		o := segment.OpenOptions{First: settle.First(f.first, s.Durable)}
		seg, found, err = l.openOwn(f.path, o)
	}
	if err != nil {
		return err
	}
	h := seg.Header()
	if h.First < f.first && seg.Totals().Last < s.Head { // the header for that name never got there
		return fmt.Errorf("%s: %w", f.path, errors.Join(segment.ErrBlank, seg.Close()))
	}
	if h.First != f.first {
		err := fmt.Errorf("%s: %w: its first item is %d", f.path, segment.ErrNotSegment, h.First)
		return errors.Join(err, seg.Close())
	}
	f.setOpenLocked(seg)
	f.sealed = seg.Sealed() || unwritable
	f.dirty = !f.sealed // a kill may have left it unsynced
	if n := seg.Rebuilt(); n > 0 && !f.sealed {
		f.rebuilt = n // Open has written back what it mended
		l.noteMended(n)
		l.log.Warn("flipped bits in a segment were mended; nothing is lost",
			"file", f.path, "flipped", n)
	}
	l.noteDamageLocked(f, append(lost, beyond(seg, found, s.Head)...))
	return nil
}

// beyond leaves out damage that cost nothing but items below head: the file was being used again.
func beyond(seg *segment.Segment, found []segment.Damage, head uint64) []segment.Damage {
	return slices.DeleteFunc(found, func(d segment.Damage) bool {
		switch {
		case d.Meta:
			return false
		case d.Tail:
			return seg.Totals().Last+1 < head
		}
		r, _, err := seg.At(d.To)
		return err == nil && r.Seq <= head
	})
}

// largeBytes is how many bytes large items have beyond the payloads of their records.
func largeBytes(s *segment.Segment) (n uint64) {
	if s.Totals().Large == 0 {
		return 0
	}
	eachRecord(s, func(r segment.Record) {
		if r.Kind == segment.KindLarge {
			n += uint64(body.ItemSize(&r)) - uint64(len(r.Payload))
		}
	})
	return n
}

// eachRecord calls fn for every valid record of a segment.
func eachRecord(s *segment.Segment, fn func(segment.Record)) {
	for at := uint32(segment.HeaderSize); at < s.Tail(); {
		r, next, err := s.At(at)
		switch {
		case err == io.EOF: // what follows are payloads without a record
			return
		case err != nil:
			at = s.NextValid(at)
			continue
		}
		fn(r)
		at = next
	}
}

// resumeNumbers continues the numbering above all numbers that may have been used: those that a
// consumer has taken or noted, whose items a power cut may have lost; those that an unreadable
// segment may have held; and those that were once durable, which no crash takes away.
func (l *Log) resumeNumbers() {
	l.resumeDurable()
	for _, c := range l.consumers { // a header that was made again does not know of bytes before it
		if n := len(l.files); n > 0 && l.files[n-1].seg != nil && l.total.bytes < c.st.Below {
			l.total.bytes = c.st.Below + bytesFrom(l.files[n-1].seg, c.st.Head)
		}
	}
	l.recountBytes()
	if l.missing.unreadableBelow > l.next {
		l.skipNumbers(l.missing.unreadableBelow - 1)
		if l.missing.endedAt == 0 { // otherwise the items that were durable are counted
			l.noteLost(1) // nobody knows how many
		}
	}
	for _, c := range l.consumers { // a note is of an item that a power cut took
		if n := c.st.LastNoted(); n >= l.next {
			l.skipNumbers(n)
		}
	}
	for _, c := range l.consumers {
		if c.st.Head >= l.next {
			l.next = c.st.Head
			c.st.Below = l.total.bytes
		}
		c.st.Taken.Each(func(x offset.Span) bool {
			l.next = max(l.next, x.To+1)
			return true
		})
	}
}

// skipNumbers takes the numbers up to last, which were used, out of use.
func (l *Log) skipNumbers(last uint64) {
	for _, c := range l.consumers {
		c.take(offset.Span{From: l.next, To: last})
	}
	l.next = last + 1
}

// gaps returns the sequence numbers that are missing at the start of the log and in the segments
// that were read: between records, and between one segment and the next.
func (l *Log) gaps() (missing []offset.Span) {
	expected := l.minHeadLocked() // 0 if not known
	note := func(seq uint64) {
		if expected > 0 && seq > expected {
			missing = append(missing, offset.Span{From: expected, To: seq - 1})
		}
	}
	if len(l.files) > 0 {
		note(l.files[0].first)
		expected = 0
	}
	for _, f := range l.files {
		if f.seg == nil {
			continue
		}
		t := f.seg.Totals()
		note(f.first)
		if f.seg.Sealed() {
			expected = max(f.first, t.Last+1)
			continue
		}
		expected = f.first
		if t.Items == t.Last+1-f.first {
			expected = t.Last + 1
			continue
		}
		eachRecord(f.seg, func(r segment.Record) {
			note(r.Seq)
			expected = r.Seq + 1
		})
	}
	note(l.next)
	return missing
}

// bytesBefore is how many payload bytes were appended before a segment.
func (l *Log) bytesBefore(f *file) uint64 {
	if f.seg != nil {
		return f.seg.Header().BytesBefore
	}
	seg, _, err := segment.Open(l.fs, f.path, segment.OpenOptions{})
	if err != nil {
		return 0
	}
	defer seg.Close()
	return seg.Header().BytesBefore
}
