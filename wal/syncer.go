package wal

// Which logs sync when: each by itself while few want to, and all with one sync of their file
// system when many do.

import (
	"errors"
	"slices"
	"sync"

	"github.com/darner/darner/segment/disk"
)

const (
	// syncsAtOnce lets a journalling file system commit some logs together, and keeps 10,000 logs
	// from taking 10,000 threads.
	syncsAtOnce = 16

	// shareFrom is how many logs must want a sync before they share one of the file system. That
	// one writes the data of other programs as well.
	shareFrom = 64
)

// syncer has the logs of a Background that want a sync, and up to syncsAtOnce goroutines that sync
// them.
type syncer struct {
	mu      sync.Mutex  // taken last
	asked   []*Log      // in the order they came, each once
	dirty   []*Log      // those whose timers run; see dirt.place
	workers int         // goroutines
	volume  disk.Volume // nil if there is none
	failed  bool        // a shared sync failed: there are none from then on
	shared  bool        // a shared sync is under way

	shareFrom int // logs that must want a sync to share one
}

// SyncTogether lets logs share a sync of their file system when many want one. The file, which must
// stay, says which file system. Call it before the first log is opened. It does nothing if disk.FS
// cannot sync file systems; other errors are those of opening the file.
func (b *Background) SyncTogether(fsys disk.FS, file string) error {
	w, err := fsys.Volume(file)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	b.syncs.volume = w
	return err
}

// holds reports whether a log in a directory may share a sync.
func (s *syncer) holds(dir string) bool { return s.volume != nil && s.volume.Holds(dir) }

func (s *syncer) close() {
	if s.volume != nil {
		s.volume.Close()
	}
}

// ask puts a log in the list. Each time that a log is put there, its callers are notified once.
func (s *syncer) ask(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, l)
	s.startWorkerLocked()
}

// startWorkerLocked starts one more goroutine if there is work for it. s.mu is held.
func (s *syncer) startWorkerLocked() {
	if s.workers < syncsAtOnce && len(s.asked) > 0 && !s.heldBackLocked() {
		s.workers++
		go s.work()
	}
}

// heldBackLocked reports whether the list waits for the end of a shared sync. s.mu is held.
func (s *syncer) heldBackLocked() bool { return s.shared && s.manyLocked(s.asked) }

// manyLocked reports whether logs should share a sync. s.mu is held.
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

// next takes one log from the list, or all of them when they are many. It returns none when the
// goroutine has to end.
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

// syncShared syncs many logs with one sync of the file system. A log that is being synced, or is on
// another file system, is synced by itself.
//
// If the one sync fails, nobody knows whose data was lost. Then all logs are synced by themselves,
// from then on: data of other logs may be lost as well, and the next sync of the file system would
// not report it again.
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
		const failed = "sync of the file system failed; queues are synced one by one from now on"
		logs[0].o.Logger.Warn(failed, "error", err)
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

// due is called when a log's oldest unsynced data is SyncEvery old. If many logs are dirty, they
// are all synced with it, so that they are due together again.
func (s *syncer) due(l *Log) {
	logs := s.takeDirty()
	if len(logs) == 0 {
		logs = []*Log{l}
	}
	for _, l := range logs {
		l.SyncThen(func(error) {})
	}
}

// takeDirty empties the list of dirty logs and returns them, if they are many.
func (s *syncer) takeDirty() (logs []*Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.manyLocked(s.dirty) {
		return nil
	}
	logs = slices.Clone(s.dirty)
	clear(s.dirty)
	s.dirty = s.dirty[:0] // markDirty must not allocate
	for _, l := range logs {
		l.dirty.place = 0
	}
	return logs
}

// markDirty notes that a log's timer runs. Log.mu is held.
func (s *syncer) markDirty(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.dirty.place == 0 {
		s.dirty = append(s.dirty, l)
		l.dirty.place = len(s.dirty)
	}
}

// markClean notes that a log's timer has stopped. Log.mu is held.
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
