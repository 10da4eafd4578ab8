package wal

// How far sealing may lag behind appending. What is not sealed is read when the log is opened after a kill, and is
// mapped: a disk that is slower than the items come must not let it grow without bound.

import "strconv"

// defaultLag is a quarter of that where addresses have 32 bits.
const defaultLag = 64 << 20 << (strconv.IntSize / 64 * 2)

// CatchUp waits until the disk has caught up so far that a good many items can be appended without waiting, or
// no longer does. It returns at once while there is nothing to wait for.
func (l *Log) CatchUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.behind(l.o.Lag) {
		return
	}
	l.askLater()
	for l.behind(l.o.Lag/2) && l.stuck == nil && l.usable() == nil {
		l.sealedSome.Wait()
	}
}

// behind reports whether as many bytes await sealing as most. Log.mu is held.
func (l *Log) behind(most int64) bool {
	n := int64(0)
	for i := len(l.files) - 2; i >= 0 && !l.files[i].sealed; i-- { // the last takes appends
		if l.files[i].renames > 0 { // it stays so until the log is opened again
			return false
		}
		n++
	}
	return n >= max(2, most/l.o.SegmentSize)
}

// keepUp refuses a new segment when too many await sealing. Log.mu is held.
func (l *Log) keepUp() error {
	if !l.behind(l.o.Lag) {
		return nil
	}
	if l.stuck != nil {
		return l.refused(l.stuck)
	}
	l.askLater()
	return ErrBehind
}

// sealing notes how it went, nil or what keeps it from going on, and tells those who wait.
func (l *Log) sealing(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stuck = err
	l.sealedSome.Broadcast()
}
