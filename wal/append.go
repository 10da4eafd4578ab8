package wal

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
)

// Append gives an item its place at the end of the log. When it returns, consumers see the item,
// and it survives the death of the process; for a power cut, see Sync. The payload is copied.
// Append waits for the disk if the background has not prepared enough space in time: see TryAppend.
// Errors: ErrTooLarge, ErrFull, ErrFailed, ErrClosed; nothing was stored then.
func (l *Log) Append(payload []byte, m Meta) (Position, error) {
	p, err := l.TryAppend(payload, m)
	for errors.Is(err, ErrBacklog) {
		l.CatchUp()
		p, err = l.TryAppend(payload, m)
	}
	return p, err
}

// TryAppend is Append for callers that must not wait for the disk. It returns ErrUnready if the
// wait would be short, and otherwise ErrBacklog. Then call CatchUp, which may wait, or CatchUpThen,
// and try again.
func (l *Log) TryAppend(payload []byte, m Meta) (Position, error) {
	if len(payload) > l.o.InlineMax {
		err := fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, len(payload), l.o.InlineMax)
		return Position{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appendLocked(segment.KindItem, payload, int64(len(payload)), &m)
}

// appendLocked writes one record. size is the item's size: for a large item, that of its body.
func (l *Log) appendLocked(
	kind segment.Kind, payload []byte, size int64, m *Meta,
) (p Position, err error) {
	if err := l.usableLocked(); err != nil {
		return p, err
	}
	var r segment.Record
	l.fillLocked(&r, kind, payload, m)
	bytes := r.Size()
	for {
		f, err := l.takesLocked(bytes)
		if err != nil {
			return p, err
		}
		r.Seq = l.next // another one if a segment was begun
		off, err := f.seg.Append(&r)
		if err == nil {
			return l.appendedLocked(f, off, size, &r), nil
		}
		if err := l.makeRoomLocked(f, bytes, err); err != nil {
			return p, err
		}
	}
}

// fillLocked fills r, which is empty, with the record of the next item.
func (l *Log) fillLocked(r *segment.Record, kind segment.Kind, payload []byte, m *Meta) {
	r.Seq, r.Kind, r.Payload = l.next, kind, payload
	r.ClientFlags, r.Enqueued, r.Expires = m.Flags, m.Enqueued, m.Expires
	if r.Enqueued == 0 {
		r.Enqueued = l.now()
	}
	if m.More != nil {
		m.More.keep(r)
	}
}

// takesLocked is the segment that takes appends. If there is none, it begins one, for so many
// bytes.
func (l *Log) takesLocked(bytes int64) (*file, error) {
	f := l.activeLocked()
	if f == nil {
		if err := l.rollForItemLocked(bytes); err != nil {
			return nil, err
		}
		f = l.activeLocked()
	}
	return f, nil
}

// makeRoomLocked handles an error of the segment that takes appends. It returns nil if another try
// is worthwhile, and otherwise the refusal of the item.
func (l *Log) makeRoomLocked(f *file, bytes int64, err error) error {
	switch {
	case errors.Is(err, segment.ErrUnallocated):
		return l.requestRoomLocked(f, bytes)
	case errors.Is(err, segment.ErrFull):
		return l.rollForItemLocked(bytes)
	case disk.IsTransient(err):
		return err
	case !disk.IsFull(err):
		return l.failLocked(err)
	}
	return l.refusedLocked(err)
}

// appendedLocked notes a record that was appended. size is the item's size.
func (l *Log) appendedLocked(f *file, off uint32, size int64, r *segment.Record) Position {
	l.next++
	l.total.items++
	l.total.bytes += uint64(size)
	f.times.add(r.Enqueued, r.Expires)
	if r.Expires|r.Due != 0 {
		l.total.due = max(l.total.due, r.Due)
		l.total.expiring = l.total.expiring || r.Expires != 0
	}
	f.dirty = true
	l.touchLocked()
	l.prepareFromLocked(f, off)
	p := Position{Seq: r.Seq, Size: size, Flags: r.ClientFlags, at: off, segment: f.first}
	if r.Kind == segment.KindLarge {
		p.at |= largeBit
	}
	return p
}

// prepareFromLocked has the background prepare what is next, if something at off calls for it.
func (l *Log) prepareFromLocked(f *file, off uint32) {
	if off >= f.prepareAt {
		f.prepareAt = prepareRequested
		l.requestPrepare()
	}
}

// refusedLocked turns an error that kept an item out, but did no harm, into this package's error.
// After a lack of space it has the background look for some to give back.
func (l *Log) refusedLocked(err error) error {
	admitted := !errors.As(err, new(notAdmitted))
	if admitted && (!disk.IsFull(err) || errors.Is(err, ErrFull)) {
		return err
	}
	l.room.diskFull = true
	l.requestCleanup()
	if !l.compaction.forSpace {
		l.compaction.forSpace = true
		l.compaction.request()
	}
	if !admitted {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFull, err)
}

// canRollLocked reports whether everything that makeNext makes is there.
func (l *Log) canRollLocked() bool {
	for _, c := range l.consumers {
		if c.off == nil {
			return false
		}
	}
	return l.spare.file != nil
}

// rollLocked makes the spare the active segment.
func (l *Log) rollLocked() error {
	if was := l.activeLocked(); was != nil {
		was.rolled = l.steady()
	}
	if n := len(l.files); n > 0 && l.files[n-1].first == l.next {
		l.skipNumbers(l.next) // no record is in it: two segments must not begin with one number
	}
	f := l.nextSpareLocked()
	f.named = f.named && f.path == l.path(files.SegmentName(l.next))
	if err := f.seg.Start(segment.Header{
		First: l.next, Created: l.now(), Capacity: l.o.SegmentSize,
		ItemsBefore: l.total.items, BytesBefore: l.total.bytes,
		Longest: uint32(max(l.o.InlineMax, body.RecordSize)), Log: l.id,
		DueBefore: l.total.due, Expiring: l.total.expiring,
	}); err != nil {
		switch {
		case len(f.coming) > 0:
			f.gone = true // the last upload closes it
		case !f.leaveToSyncLocked():
			err = errors.Join(err, f.seg.Close())
		}
		return errors.Join(err, l.fs.Remove(f.path))
	}
	l.rolls.note(l.steady())
	f.times = times{known: true}
	f.first, f.through = l.next, l.next
	f.dirty = true
	f.planLocked()
	if f.reused { // its pages may be read-only since a sync
		f.prepareAt = 0
	}
	l.files = append(l.files, f)
	l.requestCleanup()
	return nil
}

// create makes a blank segment file.
func (l *Log) create(path string) (*file, error) {
	seg, err := segment.Create(l.fs, path, l.o.SegmentSize)
	if err != nil {
		return nil, err
	}
	return &file{path: path, seg: seg}, nil
}
