package queue

// A queue's log is opened on first use and parked when nobody uses it: the files are closed and
// what is left in memory is the handle and its last figures.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

// Exists reports whether there is a queue of this name. It never waits for the disk.
func (q *Queue) Exists() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.exists
}

// Loaded reports whether the queue's log is open, so that putting and fetching wait for no disk.
func (q *Queue) Loaded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used = q.reg.clock.Load() // who asks is about to use it
	return q.log != nil
}

// Load opens the log of a queue that exists, and may wait for the disk. Run it ahead of Fetch,
// Peek, Wait and Flush where they must not wait; they call it themselves if need be.
func (q *Queue) Load() error { return q.load(false) }

// Make is Load that creates the queue when there is none, and has it ready for an item. Run it ahead of Put and Create.
func (q *Queue) Make() error {
	if err := q.lock(true); err != nil {
		return err
	}
	l := q.log
	q.wanted++
	q.mu.Unlock()
	l.Prepare()
	q.unwant()
	return nil
}

// lock takes mu with the log open: also of a queue that did not exist if create is set, else such
// a one has none.
func (q *Queue) lock(create bool) error {
	q.mu.Lock()
	for q.log == nil && (q.exists || create) {
		q.wanted++ // lest it is parked again before it is used
		q.mu.Unlock()
		err := q.load(create)
		q.mu.Lock()
		q.wanted--
		if err != nil {
			q.mu.Unlock()
			return err
		}
	}
	q.used = q.reg.clock.Load()
	return nil
}

func (q *Queue) load(create bool) error {
	opened, err := q.openLog(create)
	if opened { // and loading given up
		q.mu.Lock()
		q.settle()
		q.reg.makeRoom(q)
	}
	return err
}

func (q *Queue) openLog(create bool) (opened bool, err error) {
	q.loading.Lock()
	defer q.loading.Unlock()
	q.mu.Lock()
	loaded, exists, broken := q.log != nil, q.exists, q.broken
	if q.unready != nil && time.Now().Before(q.unready.until) {
		broken = q.unready.err
	}
	q.mu.Unlock()
	if loaded || !exists && !create {
		return false, nil
	}
	if broken != nil {
		return false, broken
	}
	if !exists {
		if err := q.reg.vacant(q); err != nil {
			return false, q.unloadable(err)
		}
	}
	if !q.reg.enlist(q) {
		return false, ErrClosed
	}
	q.reg.opening <- struct{}{}
	defer func() { <-q.reg.opening }()
	q.reg.makeRoom(q) // before, so that it finds the descriptors
	l, head, err := q.openSpared()
	if err != nil {
		q.reg.delist(q)
		switch {
		case exists:
		case errors.Is(err, fs.ErrExist):
			err = errTaken // by a link to nowhere
		case !q.reg.unmake(q.dir()):
			q.born() // as the next start would find it
		default:
			err = unnameable(err)
		}
		return false, q.unloadable(err)
	}
	if !exists {
		q.reg.keep(q)
	}
	q.mu.Lock()
	if q.unready != nil && q.unready.told {
		q.reg.logger.Info("queue can be loaded again", "queue", q.name)
	}
	q.unready = nil
	q.log, q.head, q.exists = l, head, true
	if !exists {
		q.marks = nil // of the one that was deleted
	}
	q.returned = newTree(q.reg.nodes)
	q.used = q.reg.clock.Add(1)
	q.mu.Unlock()
	return true, nil
}

// openSpared opens the files, and parks other queues for them when the system is short of something.
func (q *Queue) openSpared() (l *wal.Log, head *wal.Consumer, err error) {
	l, head, err = q.openFiles()
	if short(err) && q.reg.parkSome(q, err) {
		l, head, err = q.openFiles()
	}
	return l, head, err
}

// born enters a queue that is on the disk but could not be opened.
func (q *Queue) born() {
	q.reg.keep(q)
	q.mu.Lock()
	q.exists = true
	q.mu.Unlock()
}

// unready is a queue's that could not be loaded: trying costs the disk and the log some work, and is not
// for each request.
type unready struct {
	err   error
	until time.Time // when it may be tried again: before that err is the answer
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
func (q *Queue) unloadable(cause error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := &unready{err: fmt.Errorf("queue %s cannot be loaded: %w", q.name, cause), pause: firstPause}
	if q.unready != nil {
		u.told = q.unready.told
	}
	switch {
	case short(cause):
		q.reg.noteShortage(cause)
	case !u.told:
		q.reg.logger.Error("queue cannot be loaded; it is tried again now and then", "queue", q.name, "dir", q.dir(), "error", cause)
		u.told = true
	default:
		u.pause = min(2*q.unready.pause, lastPause)
	}
	if q.exists {
		u.until = time.Now().Add(u.pause)
	}
	q.unready = u
	return u.err
}

func (q *Queue) openFiles() (*wal.Log, *wal.Consumer, error) {
	l, err := wal.Open(q.dir(), q.logOptions())
	if err != nil {
		return nil, nil, err
	}
	head, err := l.Consumer("", wal.Oldest)
	if err != nil {
		l.Abandon()
		return nil, nil, err
	}
	return l, head, nil
}

// park closes the log if nobody used it since the registry's clock stood at before, and nobody
// needs it: no open reads, waiters or uploads. A failed log stays, so that the failure does.
func (q *Queue) park(before uint64) bool {
	if !q.loading.TryLock() {
		return false // somebody loads or deletes it
	}
	defer q.loading.Unlock()
	q.mu.Lock()
	if q.log == nil || q.busy() || q.used >= before {
		q.mu.Unlock()
		return false
	}
	q.snapshot = q.measure().figures()
	l := q.detach()
	q.mu.Unlock()
	q.reg.sweeper.expect(q.parkedDue())
	q.shut(l)
	return true
}

func (q *Queue) busy() bool {
	return q.open+q.uploads+q.wanted > 0 || q.line.first != nil || q.log.Err() != nil
}

// close is park at the end of the registry, whoever needs the log.
func (q *Queue) close() error {
	q.loading.Lock()
	defer q.loading.Unlock()
	q.mu.Lock()
	if q.log == nil {
		q.mu.Unlock()
		return nil
	}
	l := q.detach()
	q.mu.Unlock()
	return q.shut(l)
}

// shut closes a log that was detached. That it has failed is remembered: loading it again would hide
// that. Other trouble with closing passes, and costs some space at most.
func (q *Queue) shut(l *wal.Log) error {
	defer q.reg.delist(q)
	err := l.Close()
	if err == nil {
		return nil
	}
	if !errors.Is(err, wal.ErrFailed) {
		q.reg.logger.Warn("log was closed, but not everything could be tidied up", "queue", q.name, "dir", q.dir(), "error", err)
		return nil
	}
	err = fmt.Errorf("queue %s: %w", q.name, err)
	q.reg.logger.Error("log could not be closed; its last items may not be on the disk", "queue", q.name, "dir", q.dir(), "error", err)
	q.mu.Lock()
	q.broken = err
	q.mu.Unlock()
	return err
}

// detach takes the log away from the queue and forgets what belongs to it. Items in hand notice by
// their home.
func (q *Queue) detach() *wal.Log {
	l := q.log
	q.returned.Clear(true)
	s := l.Stats()
	q.counts.damaged += s.Damaged
	q.counts.rewrites += s.Rewrites
	q.log, q.head, q.returned, q.skip.err = nil, nil, nil, nil
	q.open, q.uploads = 0, 0
	q.held.items, q.held.bytes = 0, 0
	return l
}

// parkedErr waits until the log is parked and says why it failed, if it did.
func (q *Queue) parkedErr() error {
	q.loading.Lock()
	defer q.loading.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.broken
}

// dir is the queue's directory.
func (q *Queue) dir() string {
	name, _ := datadir.DirName(q.name) // a handle's name was checked
	return filepath.Join(q.reg.dir, name)
}
