package queue

// The store: the log of one name, and the queues that are read from it. What is done to the log is
// done here, and nobody else knows whether it is open: see load.go for that.

import (
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"

	"github.com/darner/darner/wal"
)

// store is all that is known of one name, whether there is a queue of that name or not. It has one
// lock for itself and its queues: who puts an item serves all their lines in one hold.
type store struct {
	name string
	reg  *Registry

	loading sync.Mutex // while the log is opened, parked or deleted

	mu      sync.Mutex // guards all below, and the queues
	log     log        // nil while parked or not existing
	own     Queue      // of the log's own cursor
	others  []*Queue   // of its other cursors
	inLine  []*Queue   // that somebody waits in
	uploads int        // large items on their way in
	wanted  int        // callers that have it loaded in order to use it
	used    uint64     // Registry.tick when it was last used
	marks   []eraMark  // where eras of the clock begin
	exists  bool       // on disk
	broken  error      // the log failed when it was parked: final until restart or delete
	unready *unready   // the log could not be opened; nil while all is well

	damaged, rewrites uint64 // of logs that were parked
}

func newStore(r *Registry, name string, exists bool) *store {
	s := &store{name: name, reg: r, exists: exists}
	s.own = Queue{store: s, head: nothing{}}
	return s
}

// logger is for messages about this store.
func (s *store) logger() *slog.Logger { return s.reg.logger.With("queue", s.name) }

// queues are all of the store, its own one first. Store.mu is held.
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

// queuesNow is queues for who does not hold Store.mu.
func (s *store) allQueues() []*Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Queue{&s.own}, s.others...)
}

// put appends an item, and waits for the disk where it has to.
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
	s.used = s.reg.tick.Load()
	return s.appendAndUnlock(payload, m)
}

// appendAndUnlock appends to the log, which is open, and serves the lines. Store.mu is given up.
func (s *store) appendAndUnlock(payload []byte, m Meta) error {
	era := s.correctTimes(&m)
	p, err := s.log.TryAppend(payload, m)
	if err == nil {
		s.noteEraLocked(p.Seq, era)
	}
	s.serveAndUnlock()
	return err
}

// serveAndUnlock gives what waits to those in line, and gives up Store.mu. It costs nothing for a
// queue in which nobody waits.
func (s *store) serveAndUnlock() {
	if len(s.inLine) == 0 {
		s.mu.Unlock()
		return
	}
	var buf [wakesAtOnce]func()
	woken := buf[:0]
	for i := len(s.inLine) - 1; i >= 0; i-- { // from the end: one that is served leaves
		woken, _ = s.inLine[i].serve(woken)
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
	s.wanted++ // to park it would take as long as the disk does
	forget := s.log.CatchUpThen(func() {
		s.unwant()
		fn()
	})
	return func() {
		if forget() {
			s.unwant()
		}
	}
}

// want keeps the store from being parked until unwant.
func (s *store) want() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted++
}

func (s *store) unwant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted--
}

// errEnded is of a queue that was deleted while it was about to be used.
var errEnded = errors.New("the queue was deleted meanwhile")

// join returns the store's queue of another cursor, by its name. One that is new gets what is put
// from now on; the store is made if there is none. It may wait for the disk.
func (s *store) join(name string) (*Queue, error) {
	if _, err := s.lockLoaded(true); err != nil {
		return nil, err
	}
	if q := s.other(name); q != nil {
		s.mu.Unlock()
		return q, nil
	}
	l := s.log
	s.wanted++
	s.mu.Unlock()
	head, err := l.Cursor(name, wal.Newest)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted--
	if err != nil {
		return nil, err
	}
	if s.log != l {
		return nil, errEnded
	}
	q := s.other(name)
	if q == nil { // else somebody was quicker
		q = &Queue{store: s, reader: name, head: head, returned: newTree(s.reg.nodes)}
		s.others = append(s.others, q)
	}
	return q, nil
}

// other is the queue of a cursor that is not the log's own; nil when there is none. Store.mu is
// held.
func (s *store) other(name string) *Queue {
	for _, q := range s.others {
		if q.reader == name {
			return q
		}
	}
	return nil
}

// leave ends a queue that join gave, and what only it held back goes. Its waiters are sent away
// with nothing, its open items end in nothing. It may wait for the disk.
func (s *store) leave(q *Queue) error {
	if _, err := s.lockLoaded(false); err != nil {
		return err
	}
	if s.other(q.reader) != q {
		s.mu.Unlock()
		return nil
	}
	l := s.log
	s.wanted++
	s.mu.Unlock()
	err := l.RemoveConsumer(q.reader)
	s.mu.Lock()
	s.wanted--
	var woken []func()
	switch {
	case s.other(q.reader) != q: // the store was deleted
		err = nil
	case err == nil:
		woken = q.end()
		s.others = slices.DeleteFunc(s.others, func(o *Queue) bool { return o == q })
	}
	s.mu.Unlock()
	wake(woken)
	return err
}
