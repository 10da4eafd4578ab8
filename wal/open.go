package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// Open opens the log in a directory, which is made if need be, and recovers it from whatever a
// crash left: a torn tail is cut off, a segment or an offset file that was about to get its name
// gets it, uploads that broke off are removed. It reads the segments that were not sealed and
// nothing of the others, so it does not depend on how much there is. Errors are those of the
// disk; damage is not an error but is counted, logged and set aside.
func Open(dir string, o Options) (*Log, error) {
	o, err := o.withDefaults(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, fs: o.FS, o: o, log: o.Logger, slow: o.Background, consumers: make(map[string]*Consumer), created: time.Now().UnixMilli()}
	l.commit.init()
	l.timer = time.AfterFunc(time.Hour, func() { l.slow.syncs.due(l) })
	l.timer.Stop()
	l.compactTimer = time.AfterFunc(time.Hour, l.lookAgain)
	l.compactTimer.Stop()
	l.empty.timer = time.AfterFunc(time.Hour, l.stillEmpty)
	l.empty.timer.Stop()
	if l.slow == nil {
		l.slow, l.own = NewBackground(0), true
	}
	if err := l.recover(); err != nil {
		l.Abandon()
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	return l, nil
}

func (l *Log) recover() error {
	d, err := l.list()
	if isNotExist(err) {
		err = l.makeDir()
	}
	if err != nil {
		return err
	}
	l.shares = l.slow.syncs.holds(l.dir)
	l.mu.Lock() // no one else is here yet, but what follows calls functions that want it held
	defer l.mu.Unlock()
	if err := l.identify(&d); err != nil {
		return err
	}
	if err := l.adoptSpares(&d); err != nil {
		return err
	}
	if err := l.dropSuperseded(&d); err != nil {
		return err
	}
	if err := l.openSegments(d.segments); err != nil {
		return err
	}
	if err := l.loadConsumers(d); err != nil {
		return err
	}
	l.resumeNumbers()
	if len(l.consumers) > 0 && l.consumers[""] == nil { // its file was lost: nothing that it has not taken may be deleted
		l.consumers[""] = l.newConsumer("", Oldest)
	}
	if err := l.recoverBodies(d); err != nil {
		return err
	}
	l.missing = l.gaps()
	counted := l.stats.damaged.Load()
	for _, c := range l.consumers {
		c.loseMissing()
	}
	l.tellShort(l.stats.damaged.Load() > counted)
	if len(l.files) > 0 {
		l.askLater()
		l.askCompact()
	}
	l.noteWaste()
	return l.distrust()
}

// makeDir makes the log's directory, which the first sync makes durable in its parent. Where that is new as
// well, it is made durable at once.
func (l *Log) makeDir() error {
	parent := filepath.Dir(l.dir)
	if _, err := l.fs.Allocated(parent); isNotExist(err) {
		if err := disk.MakeDir(l.fs, parent); err != nil {
			return err
		}
	}
	l.newDir = true
	return l.fs.Mkdir(l.dir)
}

// distrust has the first sync bring everything to stable storage that a process which was killed
// may not have synced: it may be in memory alone.
func (l *Log) distrust() error {
	if len(l.files)+len(l.consumers) == 0 {
		return nil
	}
	for _, c := range l.consumers {
		c.dirty = true
	}
	l.dirDirty, l.newDir = true, true
	l.touch()
	return l.distrustBodies()
}

// distrustBodies does so for the bodies behind records of unsealed segments: before a segment is
// sealed its bodies are synced.
func (l *Log) distrustBodies() (err error) {
	for _, f := range l.files {
		if f.seg == nil || f.seg.Sealed() || f.seg.Totals().Large == 0 {
			continue
		}
		eachRecord(f.seg, func(r segment.Record) {
			if r.Kind == segment.KindLarge && err == nil {
				err = l.distrustBody(r)
				l.uploads.doubt(r.Seq, l.durable)
			}
		})
	}
	return err
}

func (l *Log) distrustBody(r segment.Record) error {
	f, err := l.fs.Open(l.path(numbered(r.Seq, itemSuffix)))
	if isNotExist(err) {
		return nil // taken, or damage that its reader will find
	}
	if err != nil {
		return err
	}
	if len(l.uploads.unsynced) < maxUnsynced {
		l.uploads.unsynced = append(l.uploads.unsynced, body{r.Seq, f})
		return nil
	}
	return errors.Join(f.Sync(), f.Close())
}

// adoptSpares renames prepared segments that were started before the crash, and removes the rest.
func (l *Log) adoptSpares(d *listing) error {
	for _, e := range d.spares {
		path := l.path(numbered(e.n, spareSuffix))
		l.spares = max(l.spares, e.n)
		seg, _, err := l.openOwn(path, segment.OpenOptions{})
		if err != nil {
			if err := l.discard(path, err); err != nil {
				return err
			}
			continue
		}
		first := seg.Header().First
		e.n, e.path = first, l.path(numbered(first, segmentSuffix))
		err = errors.Join(seg.Close(), l.fs.Rename(path, e.path))
		if disk.IsFull(err) {
			e.path = path // for the time being
		} else if err != nil {
			return err
		}
		l.dirDirty = true
		d.segments = insert(d.segments, e)
	}
	return nil
}

// dropSuperseded removes what a crash left of a compaction: cold segments that were not finished,
// and the segments that a finished one stands for.
func (l *Log) dropSuperseded(d *listing) error {
	for _, name := range d.unfinished {
		if err := l.fs.Remove(l.path(name)); err != nil {
			return err
		}
		l.dirDirty = true
	}
	var kept []entry
	for _, e := range d.segments {
		n := len(kept)
		switch {
		case n > 0 && kept[n-1].supersedes(e):
			if gone, err := l.supersede(kept[n-1], e); err != nil {
				return err
			} else if !gone {
				kept = append(kept, e)
			}
		case n > 0 && e.supersedes(kept[n-1]):
			if gone, err := l.supersede(e, kept[n-1]); err != nil {
				return err
			} else if gone {
				kept[n-1] = e
			}
		default:
			kept = append(kept, e)
		}
	}
	d.segments = kept
	return nil
}

// supersede removes the file of old, unless the cold segment that stands for it turns out to be
// unreadable: then that one is set aside, and gone is false.
func (l *Log) supersede(cold, old entry) (gone bool, err error) {
	l.dirDirty = true
	seg, _, err := l.openOwn(cold.path, segment.OpenOptions{First: cold.n})
	if err == nil {
		return true, errors.Join(seg.Close(), l.fs.Remove(l.entryPath(old)))
	}
	if !lostWhole(err) || isNotExist(err) {
		return false, err
	}
	return false, l.discard(cold.path, err)
}

func (l *Log) entryPath(e entry) string {
	if e.path != "" {
		return e.path
	}
	return l.path(numbered(e.n, segmentSuffix))
}

func insert(list []entry, e entry) []entry {
	i := len(list)
	for i > 0 && list[i-1].n >= e.n {
		i--
	}
	if i < len(list) && list[i].n == e.n {
		return list
	}
	return append(list[:i:i], append([]entry{e}, list[i:]...)...)
}

// discard removes a segment that never began, and moves aside one of which nothing can be read.
func (l *Log) discard(path string, why error) error {
	if errors.Is(why, segment.ErrBlank) {
		l.dirDirty = true
		return l.fs.Remove(path)
	}
	if !lostWhole(why) {
		return why
	}
	to, err := l.moveAside(path)
	if err != nil {
		return err
	}
	if errors.Is(why, ErrForeign) {
		l.stats.damaged.Add(1)
	}
	l.log.Error("file is no readable segment and was set aside", "queue", l.name(), "file", path, "now", to, "error", why)
	return nil
}

// openSegments opens the segments that were not sealed. Segments are sealed oldest first, so those
// are the last ones; the last sealed one says where the others begin.
func (l *Log) openSegments(list []entry) error {
	var files []*file // newest first
	scanning := true
	for i := len(list) - 1; i >= 0; i-- {
		f := &file{
			first: list[i].n, path: l.entryPath(list[i]), sealed: true, size: list[i].size,
			cold: list[i].cold, through: max(list[i].n, list[i].through),
		}
		f.named = f.cold || f.path == l.path(numbered(f.first, segmentSuffix))
		if scanning {
			err := l.openSegment(f)
			if err != nil {
				if err := l.discard(f.path, err); err != nil {
					l.files = files // for Abandon to close
					return err
				}
				if len(files) == 0 && !errors.Is(err, segment.ErrBlank) && !errors.Is(err, ErrForeign) { // else what follows tells
					l.unreadable = max(l.unreadable, f.first+uint64(l.o.SegmentSize/segment.RecordSize(0)))
				}
				continue
			}
			scanning = !f.seg.Sealed()
		}
		files = append(files, f)
	}
	for i := len(files) - 1; i >= 0; i-- {
		l.files = append(l.files, files[i])
	}
	l.next = 1
	if len(files) == 0 {
		return nil
	}
	last := files[0]
	h, t := last.seg.Header(), last.seg.Totals()
	l.next = max(last.first, t.Last+1)
	l.items, l.bytes = h.ItemsBefore+t.Items, h.BytesBefore+t.Bytes+largeBytes(last.seg)
	last.plan()
	l.created = h.Created // of the last segment; the own consumer knows better
	return nil
}

func (l *Log) openSegment(f *file) error {
	seg, found, err := l.openOwn(f.path, segment.OpenOptions{Write: true})
	unwritable := errors.Is(err, segment.ErrFault) || errors.Is(err, segment.ErrHeaderLost) || errors.Is(err, segment.ErrNotSegment)
	if unwritable { // what can be read of it is as good as sealed
		l.log.Error("segment can only be read as far as it goes; items go to the next one", "queue", l.name(), "file", f.path, "error", err)
		seg, found, err = l.openOwn(f.path, segment.OpenOptions{First: f.first})
	}
	if err != nil {
		return err
	}
	if h := seg.Header(); h.First != f.first {
		return errors.Join(fmt.Errorf("%s: %w: its first item is %d", f.path, segment.ErrNotSegment, h.First), seg.Close())
	}
	f.opened(seg)
	f.sealed = seg.Sealed() || unwritable
	f.dirty = !f.sealed // a kill may have left it unsynced
	l.noteDamage(f, found)
	return nil
}

// largeBytes is what large items count for beyond the payload of their records.
func largeBytes(s *segment.Segment) (n uint64) {
	if s.Totals().Large == 0 {
		return 0
	}
	eachRecord(s, func(r segment.Record) {
		if r.Kind == segment.KindLarge {
			n += uint64(largeSize(r.Payload)) - uint64(len(r.Payload))
		}
	})
	return n
}

// eachRecord calls fn for every valid record of a segment.
func eachRecord(s *segment.Segment, fn func(segment.Record)) {
	for at := uint32(segment.HeaderSize); at < s.Tail(); {
		r, next, err := s.At(at)
		if err != nil {
			at = nextValid(s, at)
			continue
		}
		fn(r)
		at = next
	}
}

// resumeNumbers lets numbering begin above whatever a consumer has taken: after a power cut the
// removal of an item may have survived the item. It also begins above all that a segment could hold
// of which nothing can be read, and above all that was once durable, which no crash takes away.
func (l *Log) resumeNumbers() {
	l.resumeDurable()
	if l.unreadable > l.next {
		for _, c := range l.consumers {
			c.take(span{from: l.next, to: l.unreadable - 1})
		}
		l.next = l.unreadable
		if l.ends == 0 { // else those are counted that were on stable storage
			l.stats.damaged.Add(1) // how many is not known
		}
	}
	for _, c := range l.consumers {
		if c.st.head >= l.next {
			l.next = c.st.head
			c.st.below = l.bytes
		}
		c.st.taken.each(func(x span) bool {
			l.next = max(l.next, x.to+1)
			return true
		})
	}
}

// gaps returns the sequence numbers that are missing at the beginning of the log and in the
// segments that were scanned: between records, and where one segment does not begin where the one
// before it ended.
func (l *Log) gaps() (missing []span) {
	expected := l.minHead() // 0: not known
	note := func(seq uint64) {
		if expected > 0 && seq > expected {
			missing = append(missing, span{from: expected, to: seq - 1})
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

// bytesBefore is the sum of the payloads that came before a segment.
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
