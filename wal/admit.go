package wal

import (
	"errors"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// Options.Admit bounds the disk space that items may take. Only new items ask for space, so
// everything else goes on at the bound.

// notAdmitted is an error of Options.Admit. Its text is that error's text.
type notAdmitted struct{ error }

func (e notAdmitted) Is(target error) bool { return target == ErrFull }

func (e notAdmitted) Unwrap() error { return e.error }

// errReserveLent refuses items while compaction works with the last of the disk space.
var errReserveLent = errors.New("no space left on the disk: some is being made")

// admit asks Options.Admit whether new items may take more bytes of disk.
func (l *Log) admit(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	if l.background.reserve.lent.Load() {
		return notAdmitted{errReserveLent}
	}
	if l.o.Admit == nil {
		return nil
	}
	err := l.o.Admit(bytes)
	if err != nil && l.background.giveBackReused() {
		err = l.o.Admit(bytes)
	}
	if err != nil {
		return notAdmitted{err}
	}
	return nil
}

// withSpace tries again where there was no space, if some could be freed. The caller holds no lock
// that a cleanup waits for.
func (l *Log) withSpace(try func() error) error {
	err := try()
	if (disk.IsFull(err) || errors.Is(err, ErrFull)) && l.freeSpace() {
		err = try()
	}
	return err
}

// freeSpace deletes what nobody needs, which otherwise the background does in time: segments that
// wait to be used again, of all logs that are not being cleaned up just now, and what every
// consumer of this one has taken. It waits for the disk. It reports whether there was any.
func (l *Log) freeSpace() (some bool) {
	some = l.background.giveBackReused()
	l.mu.Lock()
	own := l.holdsUselessLocked()
	l.room.diskFull = l.room.diskFull || own
	l.mu.Unlock()
	if own {
		l.cleanup()
	}
	return some || own
}

// holdsUselessLocked reports whether a cleanup would free space at once, or one is doing so.
func (l *Log) holdsUselessLocked() bool {
	u := &l.uploads
	return l.deleting || len(l.spare.waiting) > 0 ||
		l.spare.file != nil && l.spare.file.pooled ||
		len(u.taken) > 0 || u.sweep || l.someTakenLocked(l.minHeadLocked())
}

// blankBytes is how much disk space a new segment takes at first.
func (l *Log) blankBytes() int64 { return min(segment.FirstExtent, l.o.SegmentSize) }

// extendForItem allocates n more bytes of a segment for an item. The background did not do so in
// time.
func (l *Log) extendForItem(f *file, n int64) error {
	if err := l.admit(f.seg.Step(n)); err != nil {
		return err
	}
	return f.seg.Extend(n)
}

// rollForItemLocked starts the next segment for a record. Space for the prepared one has been
// admitted already.
func (l *Log) rollForItemLocked(bytes int64) error {
	if err := l.checkBacklogLocked(); err != nil {
		return err
	}
	if !l.canRollLocked() {
		return l.requestRoomLocked(nil, bytes)
	}
	err := l.rollLocked()
	if err != nil && !disk.IsFull(err) {
		return l.failLocked(err)
	}
	return l.refusedLocked(err)
}

// GiveBack deletes at once what every consumer has taken, which otherwise the background does in
// time: each segment with nothing left in it, and also the active one when all is taken. It
// rewrites a segment with little left in it. It waits for the disk.
func (l *Log) GiveBack() {
	defer l.compaction.interrupt()()
	l.cleaning.Lock() // the background finishes what it is deleting
	scattered := l.takenInTheMiddle()
	some := scattered || l.anyTaken()
	l.cleaning.Unlock()
	if some {
		l.cleanup()
	}
	if scattered {
		l.compaction.removeDead()
	}
}

// anyTaken reports whether something can be deleted. It counts the active segment as if the disk
// were full.
func (l *Log) anyTaken() bool {
	_, some := l.takenBelow()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room.diskFull = l.room.diskFull || len(l.files) > 0 && l.allTakenLocked()
	return some || len(l.uploads.taken) > 0 || l.uploads.sweep ||
		l.room.diskFull && l.allTakenLocked()
}
