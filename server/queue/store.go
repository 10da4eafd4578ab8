package queue

// The store: the log of one name, and the queues that are read from it. Whatever is done to the log
// is done here; load.go knows whether it is open.

import (
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/darner/darner/wal"
)

// store is all that is known of one name, whether a queue of that name exists or not. It has one
// lock for itself and its queues: a put serves the waiters of all of them in one hold.
type store struct {
	name string
	reg  *Registry
	set  atomic.Pointer[Settings] // in force

	loading sync.Mutex // held while the log is opened, parked or deleted

	mu          sync.Mutex   // guards all below, and the queues
	log         log          // nil while parked or not existing
	own         Queue        // of the log's own cursor
	others      []*Queue     // of its other cursors
	waited      []*Queue     // in which somebody waits
	uploads     int          // items on their way in
	reserved    sum          // of them, those that were admitted and are being appended
	pins        int          // callers that need it loaded: it is not parked
	lastUse     uint64       // Registry.tick when it was last used
	marks       []eraMark    // where eras of the clock begin
	exists      bool         // on disk
	broken      error        // the log failed when it was parked: final until restart or delete
	loadFailure *loadFailure // the log could not be opened; nil while all is well

	damaged, mended, rewrites uint64 // of logs that were parked; mended by scrubbing, too
}

func newStore(r *Registry, name string, exists bool) *store {
	s := &store{name: name, reg: r, exists: exists}
	s.set.Store(r.settingsOf(name))
	s.own = Queue{store: s, cursor: noCursor{}}
	return s
}

// logger is for messages about this store.
func (s *store) logger() *slog.Logger { return s.reg.logger.With("queue", s.name) }

// queuesLocked are all queues of the store, its own one first.
func (s *store) queuesLocked() iter.Seq[*Queue] {
	return func(yield func(*Queue) bool) {
		if !yield(&s.own) {
			return
		}
		for _, q := range s.others {
			if !yield(q) {
				return
			}
		}
	}
}

// allQueues is queuesLocked for a caller that does not hold the lock.
func (s *store) allQueues() []*Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Queue{&s.own}, s.others...)
}

// put appends an item, and waits for the disk if it must.
func (s *store) put(payload []byte, m Meta) error {
	for {
		if _, err := s.lockLoaded(true); err != nil {
			return err
		}
		l := s.log
		err := s.appendAndUnlock(payload, m)
		if err != ErrUnready {
			return err
		}
		l.CatchUp()
	}
}

func (s *store) tryPut(payload []byte, m Meta) error {
	s.mu.Lock()
	if s.log == nil {
		s.mu.Unlock()
		return ErrNotLoaded
	}
	s.lastUse = s.reg.tick.Load()
	return s.appendAndUnlock(payload, m)
}

// appendAndUnlock appends to the log, which is open, and serves the waiters.
func (s *store) appendAndUnlock(payload []byte, m Meta) error {
	era := s.correctTimes(&m)
	set := s.settings()
	if m.More != nil || set.ruleNewItems() {
		s.delayLocked(&m)
		if err := s.admitLocked(int64(len(payload)), m.Due() != 0); err != nil {
			s.mu.Unlock()
			return err
		}
	}
	p, err := s.log.TryAppend(payload, m)
	if err == nil {
		s.noteEraLocked(p.Seq, era)
		if m.Due()|m.Expires|int64(set.MaxAge) != 0 {
			s.timePutLocked(p, m)
		}
	}
	s.serveAndUnlock()
	return err
}

// serveAndUnlock gives what waits to the waiters of all queues. It costs nothing while nobody
// waits.
func (s *store) serveAndUnlock() {
	if len(s.waited) == 0 {
		s.mu.Unlock()
		return
	}
	var buf [wakesAtOnce]func()
	woken := buf[:0]
	for i := len(s.waited) - 1; i >= 0; i-- { // from the end: a queue that is served leaves
		woken, _ = s.waited[i].serveWaitersLocked(woken)
	}
	s.mu.Unlock()
	wake(woken)
}

// syncThen is Queue.SyncThen.
func (s *store) syncThen(fn func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log != nil {
		s.log.SyncThen(fn)
		return
	}
	go func() { fn(s.parkedErr()) }()
}

// catchUpThen is Queue.CatchUpThen.
func (s *store) catchUpThen(fn func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == nil {
		go fn()
		return func() {}
	}
	s.pins++ // to park it would take as long as the disk does
	cancel := s.log.CatchUpThen(func() {
		s.unpin()
		fn()
	})
	return func() {
		if cancel() {
			s.unpin()
		}
	}
}

// pin keeps the store from being parked until unpin.
func (s *store) pin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins++
}

func (s *store) unpin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins--
}

// errDeleted is for a queue that was deleted while it was about to be used.
var errDeleted = errors.New("the queue was deleted meanwhile")

// join returns the store's queue of another cursor, by its name. A new one gets what is put from
// now on. The store is created if there is none. It may wait for the disk.
func (s *store) join(name string) (*Queue, error) {
	if _, err := s.lockLoaded(true); err != nil {
		return nil, err
	}
	if q := s.otherLocked(name); q != nil {
		s.mu.Unlock()
		return q, nil
	}
	l := s.log
	s.pins++
	s.mu.Unlock()
	c, err := l.Cursor(name, wal.Newest)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins--
	if err != nil {
		return nil, err
	}
	if s.log != l {
		return nil, errDeleted
	}
	q := s.otherLocked(name)
	if q == nil { // else somebody was quicker
		q = &Queue{store: s, reader: name, cursor: c, returned: newTree(s.reg.nodes)}
		s.others = append(s.others, q)
	}
	return q, nil
}

// otherLocked returns the queue of a cursor that is not the log's own; nil if there is none.
func (s *store) otherLocked(name string) *Queue {
	for _, q := range s.others {
		if q.reader == name {
			return q
		}
	}
	return nil
}

// leave ends a queue that join returned, and frees what only that queue kept. Its waiters leave
// with nothing, its open items end in nothing. It may wait for the disk.
func (s *store) leave(q *Queue) error {
	if _, err := s.lockLoaded(false); err != nil {
		return err
	}
	if s.otherLocked(q.reader) != q {
		s.mu.Unlock()
		return nil
	}
	l := s.log
	s.pins++
	s.mu.Unlock()
	err := l.RemoveConsumer(q.reader)
	s.mu.Lock()
	s.pins--
	var woken []func()
	switch {
	case s.otherLocked(q.reader) != q: // the store was deleted
		err = nil
	case err == nil:
		woken = q.endLocked()
		s.others = slices.DeleteFunc(s.others, func(o *Queue) bool { return o == q })
	}
	s.mu.Unlock()
	wake(woken)
	return err
}
