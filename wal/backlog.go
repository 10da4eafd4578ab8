package wal

// The backlog of sealing. Recovery after a kill reads every segment that is not sealed, and each is
// mapped. So a disk that seals more slowly than items come must not let them grow without bound.

// backlog is the segments that await sealing. Log.mu guards it.
type backlog struct {
	stuck   error    // why sealing cannot go on for now
	waiting waitlist // callers of CatchUpThen
}

// defaultLag leaves most of the address space to other logs.
func defaultLag(addresses int64) int64 { return min(256<<20, addresses/24) }

// CatchUp waits until an append that was refused with ErrUnready or ErrBacklog is worth another
// try. For ErrUnready it prepares the missing space itself. For ErrBacklog it waits until half of
// the backlog is sealed, or sealing has failed. If there is nothing to wait for, it returns at
// once.
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

// CatchUpThen calls fn once, on another goroutine, when CatchUp would return. It never blocks; fn
// must not either. stop cancels the call. It returns false if fn has been called or is about to be.
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

// notifyCaughtUpLocked ends the wait for the backlog when it is small enough, or will not get
// smaller.
func (l *Log) notifyCaughtUpLocked() {
	if !l.sealBacklogExceedsLocked(l.o.Lag/2) || l.cannotCatchUpLocked() {
		l.backlog.waiting.notify()
	}
}

// cannotCatchUpLocked reports that no segment will be sealed for now.
func (l *Log) cannotCatchUpLocked() bool {
	return l.backlog.stuck != nil || l.usableLocked() != nil
}

// sealBacklogExceedsLocked reports whether at least most bytes of segments, and at least two
// segments, await sealing.
func (l *Log) sealBacklogExceedsLocked(most int64) bool {
	n := int64(0)
	for i := len(l.files) - 2; i >= 0 && !l.files[i].sealed; i-- { // the last takes appends
		if l.files[i].renames > 0 { // not sealed before the log is opened again
			return false
		}
		n++
	}
	return n >= max(2, most/l.o.SegmentSize)
}

// checkBacklogLocked refuses a new segment when too many await sealing.
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

// noteSealing records how sealing went: nil, or why it cannot go on.
func (l *Log) noteSealing(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.backlog.stuck = err
	l.notifyCaughtUpLocked()
}
