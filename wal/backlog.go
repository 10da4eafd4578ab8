package wal

// How far sealing may lag behind appending. What is not sealed is read when the log is opened after a kill, and is
// mapped: a disk that is slower than the items come must not let it grow without bound.

// backlog is what awaits sealing. Log.mu guards it.
type backlog struct {
	stuck   error    // why no segment can be sealed for now
	waiting waitlist // who waits until the disk has caught up
}

// defaultLag leaves most of the addresses to other logs.
func defaultLag(addresses int64) int64 { return min(256<<20, addresses/24) }

// CatchUp gets ready what an append lacked; where that is nothing, it waits until the disk has caught up so far that
// a good many items can be appended without waiting, or no longer does. It returns at once while there is nothing to
// wait for.
func (l *Log) CatchUp() {
	l.mu.Lock()
	lacks := l.room.lacks
	l.mu.Unlock()
	if lacks {
		l.getRoom()
		return
	}
	done := make(chan struct{})
	l.CatchUpThen(func() { close(done) })
	<-done
}

// CatchUpThen calls fn once, on another goroutine, when CatchUp would return. It never blocks; fn must not either.
// stop has the log forget fn; it is false when that was called before, or is about to be.
func (l *Log) CatchUpThen(fn func()) (stop func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := &l.backlog.waiting
	switch {
	case l.room.lacks && l.usableLocked() == nil:
		list = &l.room.waiting
		if !l.room.asked {
			l.room.asked = true
			l.background.appendPool.do(l.getRoom)
		}
	case l.sealBacklogExceedsLocked(l.o.Lag) && !l.cannotCatchUpLocked():
		l.requestCleanup()
	default:
		go fn()
		return func() bool { return false }
	}
	e := list.add(fn)
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return list.remove(e)
	}
}

// notifyCaughtUpLocked tells those who wait for the disk when they need no longer. Log.mu is held.
func (l *Log) notifyCaughtUpLocked() {
	if !l.sealBacklogExceedsLocked(l.o.Lag/2) || l.cannotCatchUpLocked() {
		l.backlog.waiting.notify()
	}
}

// cannotCatchUpLocked reports that the disk is not going to catch up. Log.mu is held.
func (l *Log) cannotCatchUpLocked() bool { return l.backlog.stuck != nil || l.usableLocked() != nil }

// sealBacklogExceedsLocked reports whether as many bytes await sealing as most. Log.mu is held.
func (l *Log) sealBacklogExceedsLocked(most int64) bool {
	n := int64(0)
	for i := len(l.files) - 2; i >= 0 && !l.files[i].sealed; i-- { // the last takes appends
		if l.files[i].renames > 0 { // it stays so until the log is opened again
			return false
		}
		n++
	}
	return n >= max(2, most/l.o.SegmentSize)
}

// checkBacklogLocked refuses a new segment when too many await sealing. Log.mu is held.
func (l *Log) checkBacklogLocked() error {
	if !l.sealBacklogExceedsLocked(l.o.Lag) {
		return nil
	}
	l.requestCleanup()
	if l.backlog.stuck != nil {
		return l.refusedLocked(l.backlog.stuck)
	}
	return ErrBacklog
}

// noteSealing notes how it went, nil or what keeps it from going on.
func (l *Log) noteSealing(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.backlog.stuck = err
	l.notifyCaughtUpLocked()
}
