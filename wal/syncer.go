package wal

// Which logs sync when: each for itself while few want to, all of them with one sync of their file system when
// many do.

import (
	"errors"
	"slices"
	"sync"

	"github.com/darner/darner/segment/disk"
)

const (
	// syncsAtOnce is enough for a journalling file system to commit some logs together, and few
	// enough that 10,000 logs do not take 10,000 threads.
	syncsAtOnce = 16

	// shareFrom is how many logs have to want a sync for one of the file system to be worth its while, which
	// writes what other programs have there as well.
	shareFrom = 64
)

// syncer has the logs of a Background that want a sync, and the goroutines that see to it: as many as there is
// work for, up to syncsAtOnce.
type syncer struct {
	mu      sync.Mutex // a leaf
	asked   []*Log     // in the order they came, each once
	dirty   []*Log     // those whose timers run; each knows its place
	workers int        // goroutines
	volume  disk.Whole // nil: there is none
	failed  bool       // a sync of it did: each for itself from then on
	shared  bool       // a sync of the whole is under way

	shareFrom int // logs that want one
}

// SyncTogether lets the logs whose directories are on the file system of a file, which has to stay, share a sync of
// that file system when many of them want one. It is for before the first is opened. It does nothing where disk.FS
// has no such thing; other errors are those of opening the file.
func (b *Background) SyncTogether(fsys disk.FS, file string) error {
	w, err := fsys.Whole(file)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	b.syncs.volume = w
	return err
}

// holds reports whether a log in a directory may sync together with others.
func (s *syncer) holds(dir string) bool { return s.volume != nil && s.volume.Holds(dir) }

func (s *syncer) close() {
	if s.volume != nil {
		s.volume.Close()
	}
}

// ask puts a log in the list: for each time it is put there, its callers are served once.
func (s *syncer) ask(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, l)
	s.startWorkerLocked()
}

// startWorkerLocked has one goroutine more for what is in the list, if there may be. mu is held.
func (s *syncer) startWorkerLocked() {
	if s.workers < syncsAtOnce && len(s.asked) > 0 && !s.heldBackLocked() {
		s.workers++
		go s.work()
	}
}

// heldBackLocked reports that the logs in the list are left to whoever syncs the file system now. mu is held.
func (s *syncer) heldBackLocked() bool { return s.shared && s.manyLocked(s.asked) }

// manyLocked reports that logs are to share a sync. mu is held.
func (s *syncer) manyLocked(logs []*Log) bool {
	return s.volume != nil && !s.failed && len(logs) >= s.shareFrom
}

func (s *syncer) work() {
	for {
		logs := s.next()
		switch {
		case len(logs) == 0:
			return
		case len(logs) == 1:
			logs[0].syncAndNotify()
		default:
			s.syncShared(logs)
		}
	}
}

// next takes one log out of the list, or all when they are many, or says that the goroutine has to end.
func (s *syncer) next() (logs []*Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.asked) == 0 || s.heldBackLocked():
		s.workers--
		return nil
	case s.manyLocked(s.asked):
		logs, s.asked, s.shared = s.asked, nil, true
		return logs
	}
	logs = []*Log{s.asked[0]}
	s.asked = slices.Delete(s.asked, 0, 1)
	s.startWorkerLocked()
	return logs
}

// syncShared serves the callers of many logs with one sync of the file system. A log that is at something else, or is
// on another file system, has its own.
//
// When the one fails, which does not tell whose data was lost, all have their own, now and ever after: what was written meanwhile for
// a log that is not among them may be lost as well, and the next sync of the file system would not tell of that again.
func (s *syncer) syncShared(logs []*Log) {
	begun := make([]begunSync, 0, len(logs))
	var alone []*Log
	for _, l := range logs {
		if b, ok := l.beginShared(); ok {
			begun = append(begun, b)
		} else {
			alone = append(alone, l)
		}
	}
	err := s.volume.Sync()
	if err != nil {
		logs[0].log.Warn("a sync of the file system failed: each queue is synced for itself from now on", "error", err)
	}
	for _, b := range begun {
		b.end(err == nil)
	}
	for _, l := range alone {
		l.syncAndNotify()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared, s.failed = false, err != nil
	s.startWorkerLocked()
}

// due is called when a log's data is as old as it may get. When many logs are dirty all are synced with it, rather
// than each a moment later: so they come to be due together.
func (s *syncer) due(l *Log) {
	logs := s.takeDirty()
	if len(logs) == 0 {
		logs = []*Log{l}
	}
	for _, l := range logs {
		l.SyncThen(func(error) {})
	}
}

// takeDirty takes all dirty logs out of their list, if they are many.
func (s *syncer) takeDirty() (logs []*Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.manyLocked(s.dirty) {
		return nil
	}
	logs = slices.Clone(s.dirty)
	clear(s.dirty)
	s.dirty = s.dirty[:0] // who gets dirty is not to allocate
	for _, l := range logs {
		l.dirty.place = 0
	}
	return logs
}

// markDirty notes that a log's timer runs, markClean that what it was set for is being synced. Log.mu is held.
func (s *syncer) markDirty(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.dirty.place == 0 {
		s.dirty = append(s.dirty, l)
		l.dirty.place = len(s.dirty)
	}
}

func (s *syncer) markClean(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.dirty.place == 0 {
		return
	}
	last := s.dirty[len(s.dirty)-1]
	s.dirty[l.dirty.place-1], last.dirty.place = last, l.dirty.place
	s.dirty[len(s.dirty)-1] = nil
	s.dirty = s.dirty[:len(s.dirty)-1]
	l.dirty.place = 0
}
