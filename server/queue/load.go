package queue

// A store's log is opened on first use and parked when nobody uses it: the files are closed and
// what is left in memory is the handle and its last figures.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

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

// Parked reports whether there is a queue that is not loaded: putting and fetching would wait for the disk.
func (q *Queue) Parked() bool {
	s := q.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = s.reg.tick.Load() // who asks is about to use it
	return s.log == nil && s.exists
}

// Load opens the log of a queue that exists, and may wait for the disk. Run it ahead of Fetch,
// Peek, Wait and Flush where they must not wait; they call it themselves if need be.
func (q *Queue) Load() error { return q.store.load(false) }

// Make is Load that creates the queue when there is none, and has it ready for an item. Run it ahead of Put and Create.
func (q *Queue) Make() error {
	s := q.store
	if _, err := s.lockLoaded(true); err != nil {
		return err
	}
	l := s.log
	s.wanted++
	s.mu.Unlock()
	l.Prepare()
	s.unwant()
	return nil
}

// lockLoaded takes mu with the log open: also of a store that did not exist if create is set, else it tells whether
// there is one.
func (s *store) lockLoaded(create bool) (there bool, err error) {
	s.mu.Lock()
	for s.log == nil && (s.exists || create) {
		s.wanted++ // lest it is parked again before it is used
		s.mu.Unlock()
		err := s.load(create)
		s.mu.Lock()
		s.wanted--
		if err != nil {
			s.mu.Unlock()
			return false, err
		}
	}
	s.used = s.reg.tick.Load()
	return s.log != nil, nil
}

// lockIfLoaded is lockLoaded that does not wait: it is ErrNotLoaded of a store that exists and is parked.
func (s *store) lockIfLoaded() error {
	s.mu.Lock()
	if s.log == nil && s.exists {
		s.mu.Unlock()
		return ErrNotLoaded
	}
	s.used = s.reg.tick.Load()
	return nil
}

func (s *store) load(create bool) error {
	opened, err := s.openLog(create)
	if opened { // and loading given up
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
	if s.unready != nil && clock.Steady(s.reg.clock) < s.unready.until {
		broken = s.unready.err
	}
	s.mu.Unlock()
	if loaded || !exists && !create {
		return false, nil
	}
	if broken != nil {
		return false, broken
	}
	if !exists {
		if err := s.reg.vacant(s); err != nil {
			return false, s.unloadable(err)
		}
	}
	if !s.reg.enlist(s) {
		return false, ErrClosed
	}
	s.reg.opening <- struct{}{}
	defer func() { <-s.reg.opening }()
	s.reg.evictIdle(s) // before, so that it finds the descriptors
	l, heads, err := s.openSpared()
	if err != nil {
		s.reg.delist(s)
		switch {
		case exists:
		case errors.Is(err, fs.ErrExist):
			err = errTaken // by a link to nowhere
		case !s.reg.removeEmpty(s.dir()):
			s.markCreated() // as the next start would find it
		default:
			err = unnameable(err)
		}
		return false, s.unloadable(err)
	}
	if !exists {
		s.reg.addCreated(s)
	}
	s.attach(l, heads)
	return true, nil
}

// attach gives the queues what they are read from.
func (s *store) attach(l log, heads map[*Queue]cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unready != nil && s.unready.told {
		s.reg.logger.Info("queue can be loaded again", "queue", s.name)
	}
	s.unready = nil
	if !s.exists {
		s.marks = nil // of the one that was deleted
	}
	s.log, s.exists = l, true
	for q, head := range heads {
		q.head, q.returned = head, newTree(s.reg.nodes)
	}
	s.used = s.reg.tick.Add(1)
}

// openSpared opens the files, and parks other queues for them when the system is short of something.
func (s *store) openSpared() (l log, heads map[*Queue]cursor, err error) {
	l, heads, err = s.openFiles()
	if short(err) && s.reg.parkSome(s, err) {
		l, heads, err = s.openFiles()
	}
	return l, heads, err
}

// markCreated enters a store that is on the disk but could not be opened.
func (s *store) markCreated() {
	s.reg.addCreated(s)
	s.mu.Lock()
	s.exists = true
	s.mu.Unlock()
}

// unready is a queue's that could not be loaded: trying costs the disk and the log some work, and is not
// for each request.
type unready struct {
	err   error
	until time.Duration // steady time when it may be tried again: before that err is the answer
	pause time.Duration
	told  bool // it was logged
}

// Pauses between attempts to load a queue. A shortage of descriptors or memory may pass any time.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
)

// unloadable words the error, and logs it once until the queue loads again; a shortage is not the queue's alone.
// A queue that could not be made is tried again at once.
func (s *store) unloadable(cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &unready{err: fmt.Errorf("queue %s cannot be loaded: %w", s.name, cause), pause: firstPause}
	if s.unready != nil {
		u.told = s.unready.told
	}
	switch {
	case short(cause):
		s.reg.noteShortage(cause)
	case !u.told:
		s.reg.logger.Error("queue cannot be loaded; it is tried again now and then", "queue", s.name, "dir", s.dir(), "error", cause)
		u.told = true
	default:
		u.pause = min(2*s.unready.pause, lastPause)
	}
	if s.exists {
		u.until = clock.Steady(s.reg.clock) + u.pause
	}
	s.unready = u
	return u.err
}

func (s *store) openFiles() (log, map[*Queue]cursor, error) {
	l, err := s.reg.logs.open(s.dir(), s.logOptions())
	if err != nil {
		return nil, nil, err
	}
	heads, err := s.openCursors(l)
	if err != nil {
		l.Abandon()
		return nil, nil, err
	}
	return l, heads, nil
}

// openCursors opens those of the queues there are. A cursor of which the log knows nothing any more begins at the
// oldest item, as nothing is to be lost.
func (s *store) openCursors(l log) (map[*Queue]cursor, error) {
	all := s.allQueues() // loading is held: they stay
	heads := make(map[*Queue]cursor, len(all))
	for _, q := range all {
		head, err := l.Cursor(q.reader, wal.Oldest)
		if err != nil {
			return nil, err
		}
		heads[q] = head
	}
	return heads, nil
}

// park closes the log if nobody used it since the registry's tick was before, and nobody
// needs it: no open reads, waiters or uploads. A failed log stays, so that the failure does.
func (s *store) park(before uint64) bool {
	if !s.loading.TryLock() {
		return false // somebody loads or deletes it
	}
	defer s.loading.Unlock()
	s.mu.Lock()
	if s.log == nil || s.busy() || s.used >= before {
		s.mu.Unlock()
		return false
	}
	s.keepFigures()
	l := s.detach()
	s.mu.Unlock()
	s.reg.sweeper.noteParked(s.parkedDue())
	s.shut(l)
	return true
}

// busy reports that somebody needs the log, which is open. Store.mu is held.
func (s *store) busy() bool {
	return s.inHand() || len(s.inLine) > 0 || s.log.Err() != nil
}

// inHand reports that something of the log is in somebody's hand. Store.mu is held.
func (s *store) inHand() bool {
	for q := range s.queuesLocked() {
		if q.open > 0 {
			return true
		}
	}
	return s.uploads+s.wanted > 0
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
	l := s.detach()
	s.mu.Unlock()
	return s.shut(l)
}

// shut closes a log that was detached. That it has failed is remembered: loading it again would hide
// that. Other trouble with closing passes, and costs some space at most.
func (s *store) shut(l log) error {
	defer s.reg.delist(s)
	err := l.Close()
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrFailed) {
		s.reg.logger.Warn("log was closed, but not everything could be tidied up", "queue", s.name, "dir", s.dir(), "error", err)
		return nil
	}
	err = fmt.Errorf("queue %s: %w", s.name, err)
	s.reg.logger.Error("log could not be closed; its last items may not be on the disk", "queue", s.name, "dir", s.dir(), "error", err)
	s.mu.Lock()
	s.broken = err
	s.mu.Unlock()
	return err
}

// detach takes the log away from the store and its queues. Store.mu is held.
func (s *store) detach() log {
	l := s.log
	was := l.Stats()
	s.damaged += was.Damaged
	s.rewrites += was.Rewrites
	s.log, s.uploads = nil, 0
	for q := range s.queuesLocked() {
		q.detach()
	}
	return l
}

// parkedErr waits until the log is parked and says why it failed, if it did.
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
