package wal

import (
	"errors"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// Whoever uses a log may bound the disk that its items take: see Options.Admit. Only what is for new items
// asks, so that at the bound all else goes on.

// notAdmitted is the refusal of Options.Admit, in its own words.
type notAdmitted struct{ error }

func (e notAdmitted) Is(target error) bool { return target == ErrFull }

func (e notAdmitted) Unwrap() error { return e.error }

// errReserveLent: what the disk has left is compaction's for the moment.
var errReserveLent = errors.New("no space left on the disk: some is being made")

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
	if err := l.o.Admit(bytes); err != nil {
		return notAdmitted{err}
	}
	return nil
}

// blankBytes is what a new segment takes of the disk.
func (l *Log) blankBytes() int64 { return min(segment.FirstExtent, l.o.SegmentSize) }

// extendForItem makes room for n more bytes where the background did not do so ahead.
func (l *Log) extendForItem(f *file, n int64) error {
	if err := l.admit(f.seg.Step(n)); err != nil {
		return err
	}
	return f.seg.Extend(n)
}

// rollForItemLocked starts the next segment for a record; the one that was prepared has been admitted. Log.mu is held.
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

// GiveBack deletes at once what is taken, which else the background does in time: every segment of which
// nothing is left, and the one that takes appends, when all is taken. A segment of which little is left it
// rewrites. It waits for the disk.
func (l *Log) GiveBack() {
	defer l.compaction.interrupt()()
	l.cleaning.Lock() // what the background has in hand is as good as gone
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

// anyTaken reports that something could be deleted, as on a full disk.
func (l *Log) anyTaken() bool {
	_, some := l.takenBelow()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room.diskFull = l.room.diskFull || len(l.files) > 0 && l.allTakenLocked()
	return some || len(l.uploads.taken) > 0 || l.uploads.sweep || l.room.diskFull && l.allTakenLocked()
}
