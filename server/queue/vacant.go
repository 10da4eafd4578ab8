package queue

// Where a queue can be made, and what becomes of one whose first item is refused.

import (
	"errors"
	"io/fs"
)

// errTaken: a queue cannot be made where a file, a symbolic link or somebody else's directory is.
var errTaken = errors.New("something that is no queue has its name in the data directory")

// vacant makes sure that nothing has the name of a queue that is to be made: what is there was not
// listed as a queue, and a symbolic link would lead out of the data directory.
func (r *Registry) vacant(q *Queue) error {
	_, err := r.fs.ReadDir(q.dir())
	if short(err) && r.parkSome(q) {
		_, err = r.fs.ReadDir(q.dir())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case short(err):
		return err
	}
	return errTaken
}

// unmake removes the directory of a queue that could not be made, for an empty one would come back
// as a queue. It reports whether none is left.
func (r *Registry) unmake(dir string) (gone bool) {
	entries, err := r.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && len(entries) == 0 && r.fs.Remove(dir) == nil
}

// undo makes a queue as if it had never been, after its first item was refused, unless it holds
// anything on the disk or somebody is at work on it.
func (q *Queue) undo() {
	q.loading.Lock()
	defer q.loading.Unlock()
	if entries, err := q.reg.fs.ReadDir(q.dir()); err != nil || len(entries) > 0 {
		return
	}
	q.mu.Lock()
	if q.log == nil || q.log.Stats().Appended > 0 || q.log.Err() != nil || q.open+q.uploads+q.wanted > 0 {
		q.mu.Unlock()
		return
	}
	s := q.measure()
	q.snapshot = &s
	l := q.detach()
	q.mu.Unlock()
	l.Abandon()
	q.reg.delist(q)
	if !q.reg.unmake(q.dir()) {
		return
	}
	q.reg.disown(q)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.exists, q.snapshot = false, nil
}
