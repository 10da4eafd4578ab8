package queue

// A store's log is opened on first use and parked when nobody uses it: its files are closed, and
// only the handle and its last figures stay in memory.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/datadir"
)

// Exists reports whether there is a queue of this name. It never waits for the disk.
func (q *Queue) Exists() bool {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	return q.store.exists
}

// Parked reports whether the queue exists and is not loaded: putting and fetching would wait for
// the disk.
func (q *Queue) Parked() bool {
	s := q.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastUse = s.reg.tick.Load() // the caller is about to use it
	return s.log == nil && s.exists
}

// Load opens the log of a queue that exists, and may wait for the disk. Fetch, Peek, Wait and Flush
// call it if they must; run it before them where they must not wait.
func (q *Queue) Load() error { return q.store.load(false) }

// Create is Load that creates the queue if there is none, and prepares it for an item. Run it
// before Put and BeginLarge where they must not wait.
func (q *Queue) Create() error {
	s := q.store
	if _, err := s.lockLoaded(true); err != nil {
		return err
	}
	l := s.log
	s.pins++
	s.mu.Unlock()
	l.Prepare()
	s.unpin()
	return nil
}

// loadedLocked reports whether the log is open. Queues and the registry ask this; only the store
// looks at the log.
func (s *store) loadedLocked() bool { return s.log != nil }

// lockLoaded takes mu with the log open. A store that does not exist is created if create is set;
// else there is false for it, and log nil. After an error mu is not held.
func (s *store) lockLoaded(create bool) (there bool, err error) {
	s.mu.Lock()
	for s.log == nil && (s.exists || create) {
		s.pins++ // it must not be parked again before it is used
		s.mu.Unlock()
		err := s.load(create)
		s.mu.Lock()
		s.pins--
		if err != nil {
			s.mu.Unlock()
			return false, err
		}
	}
	s.lastUse = s.reg.tick.Load()
	return s.log != nil, nil
}

// lockIfLoaded is lockLoaded without waiting: for a parked store it returns ErrNotLoaded.
func (s *store) lockIfLoaded() error {
	s.mu.Lock()
	if s.log == nil && s.exists {
		s.mu.Unlock()
		return ErrNotLoaded
	}
	s.lastUse = s.reg.tick.Load()
	return nil
}

func (s *store) load(create bool) error {
	opened, err := s.openLog(create)
	if opened { // and loading is unlocked
		s.mu.Lock()
		s.serveAndUnlock()
		s.reg.evictIdle(s)
	}
	return err
}

func (s *store) openLog(create bool) (opened bool, err error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.Lock()
	loaded, exists, broken := s.log != nil, s.exists, s.broken
	if exists && s.loadFailure != nil && clock.Steady(s.reg.clock) < s.loadFailure.until {
		broken = s.loadFailure.err
	}
	s.mu.Unlock()
	if loaded || !exists && !create {
		return false, nil
	}
	if broken != nil {
		return false, broken
	}
	if !exists {
		if err := s.reg.checkVacant(s); err != nil {
			return false, s.noteLoadFailure(err)
		}
	}
	if !s.reg.addLoaded(s) {
		return false, ErrClosed
	}
	s.reg.opening <- struct{}{}
	defer func() { <-s.reg.opening }()
	s.reg.evictIdle(s) // before the log is opened, so that there are descriptors for it
	l, cursors, err := s.openReclaiming()
	if err != nil {
		s.reg.removeLoaded(s)
		switch {
		case exists:
		case errors.Is(err, fs.ErrExist):
			err = errNameTaken // by a link to nowhere
		case !s.reg.removeIfEmpty(s.dir()):
			s.markCreated() // as the next start would find it
		default:
			err = wrapUnnameable(err)
		}
		return false, s.noteLoadFailure(err)
	}
	if !exists {
		s.reg.addCreated(s)
	}
	s.attach(l, cursors)
	return true, nil
}

// attach gives the store its log, and the queues their cursors.
func (s *store) attach(l log, cursors map[*Queue]opened) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loadFailure != nil && s.loadFailure.logged {
		s.logger().Info("queue can be loaded again")
	}
	s.loadFailure = nil
	if !s.exists {
		s.marks = nil // of the one that was deleted
	}
	s.log, s.exists = l, true
	for q, c := range cursors {
		q.cursor, q.returned = c.cursor, newTree(s.reg.nodes)
		q.attachLaterLocked(c.later, c.at)
	}
	s.lastUse = s.reg.tick.Add(1)
}

// openReclaiming opens the files. If the system is short of something, it parks other queues and
// tries again.
func (s *store) openReclaiming() (l log, cursors map[*Queue]opened, err error) {
	l, cursors, err = s.openFiles()
	if disk.IsTransient(err) && s.reg.parkOthers(s, err) {
		l, cursors, err = s.openFiles()
	}
	return l, cursors, err
}

// markCreated enters a store that is on the disk but could not be opened.
func (s *store) markCreated() {
	s.reg.addCreated(s)
	s.mu.Lock()
	s.exists = true
	s.mu.Unlock()
}

// loadFailure says why a queue could not be loaded. A new attempt costs the disk and the log some
// work, so not every request makes one.
type loadFailure struct {
	err    error         // the answer until the next attempt
	until  time.Duration // steady time of that
	pause  time.Duration
	logged bool
}

// Pauses between attempts to load a queue. A shortage of descriptors or memory may pass any time.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
)

// noteLoadFailure returns the error to answer with, and logs it once until the queue loads again. A
// shortage is logged elsewhere, since it is not this queue's alone. A queue that could not be
// created may be tried again at once.
func (s *store) noteLoadFailure(cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := fmt.Errorf("queue %s cannot be loaded: %w", s.name, cause)
	u := &loadFailure{err: err, pause: firstPause}
	if s.loadFailure != nil {
		u.logged = s.loadFailure.logged
	}
	switch {
	case disk.IsTransient(cause):
		s.reg.noteShortage(cause)
	case !u.logged:
		s.logger().Error("queue cannot be loaded; it is tried again now and then",
			"dir", s.dir(), "error", cause)
		u.logged = true
	default:
		u.pause = min(2*s.loadFailure.pause, lastPause)
	}
	if s.exists {
		u.until = clock.Steady(s.reg.clock) + u.pause
	}
	s.loadFailure = u
	return u.err
}

func (s *store) openFiles() (log, map[*Queue]opened, error) {
	l, err := s.reg.logs.open(s.dir(), s.logOptions())
	if err != nil {
		return nil, nil, err
	}
	cursors, err := s.openCursors(l)
	if err != nil {
		l.Abandon()
		return nil, nil, err
	}
	return l, cursors, nil
}

// openCursors opens the cursors of all queues. One that the log no longer knows begins at the
// oldest item, so that nothing is lost.
func (s *store) openCursors(l log) (map[*Queue]opened, error) {
	all := s.allQueues() // loading is held: they stay
	cursors := make(map[*Queue]opened, len(all))
	for _, q := range all {
		var c opened
		var err error
		if c.cursor, err = l.Cursor(q.reader, wal.Oldest); err != nil {
			return nil, err
		}
		if c.later, c.at, err = q.readLater(c.cursor, l); err != nil {
			return nil, err
		}
		cursors[q] = c
	}
	return cursors, nil
}

// opened is what a queue gets when its log is opened.
type opened struct {
	cursor cursor
	later  appointments
	at     loadedAt
}

// park closes the log if nobody has used it since Registry.tick was before, and nobody needs it. A
// failed log stays open, so that the failure is not forgotten.
func (s *store) park(before uint64) bool {
	if !s.loading.TryLock() {
		return false // somebody loads or deletes it
	}
	defer s.loading.Unlock()
	s.mu.Lock()
	if s.log == nil || s.busyLocked() || s.lastUse >= before {
		s.mu.Unlock()
		return false
	}
	s.snapshotLocked()
	l := s.detachLocked()
	s.mu.Unlock()
	s.reg.sweeper.noteParked(s.parkedDue())
	s.closeLog(l)
	return true
}

// busyLocked reports whether somebody needs the log, which is open.
func (s *store) busyLocked() bool {
	return s.inUseLocked() || len(s.waited) > 0 || s.log.Err() != nil
}

// inUseLocked reports whether somebody has an item of the log or gave one back that has to wait or
// to move, or is at work on it.
func (s *store) inUseLocked() bool {
	for q := range s.queuesLocked() {
		if q.opens.n > 0 || len(q.dead) > 0 ||
			q.agenda != nil && q.agenda.retries > s.reg.steady() {
			return true
		}
	}
	return s.uploads+s.pins > 0 || s.log.Lent()
}

// close is park at the end of the registry, whoever needs the log.
func (s *store) close() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.Lock()
	if s.log == nil {
		s.mu.Unlock()
		return nil
	}
	l := s.detachLocked()
	s.mu.Unlock()
	return s.closeLog(l)
}

// closeLog closes a log that was detached. A log that has failed is remembered, since loading it
// again would hide the failure. Other trouble with closing passes, and costs some space at most.
func (s *store) closeLog(l log) error {
	defer s.reg.removeLoaded(s)
	err := l.Close()
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrFailed) {
		s.logger().Warn("log is closed, but some space may not be freed", "dir", s.dir(), "error", err)
		return nil
	}
	err = fmt.Errorf("queue %s: %w", s.name, err)
	s.logger().Error("cannot close the log; its last items may not be on the disk",
		"dir", s.dir(), "error", err)
	s.mu.Lock()
	s.broken = err
	s.mu.Unlock()
	return err
}

// detachLocked takes the log away from the store and its queues.
func (s *store) detachLocked() log {
	l := s.log
	was := l.Stats()
	s.damaged += was.Damaged
	s.mended += was.Mended
	s.rewrites += was.Rewrites
	s.log, s.uploads = nil, 0
	for q := range s.queuesLocked() {
		q.detachLocked()
	}
	return l
}

// parkedErr waits until the log is parked and returns why it failed, if it did.
func (s *store) parkedErr() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// dir is the store's directory.
func (s *store) dir() string {
	file, _ := datadir.DirName(s.name) // a handle's name was checked
	return filepath.Join(s.reg.dir, file)
}
