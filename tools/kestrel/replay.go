package kestrel

// Replaying: one walker reads all operations. A second one follows it over the items that they add,
// and stops at the head of the queue.

import (
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/darner/darner/segment/disk"
)

// Contents is what a queue holds at the end of its journal.
type Contents struct {
	Items, Bytes int64
	Open         int // number of items that were open and never confirmed
	Findings     []Finding

	q queue
}

// Item is one item of a queue.
type Item struct {
	Added   int64     // Unix ms; 0: not known
	Expires int64     // Unix ms; 0: never
	Size    int64     // bytes
	Body    io.Reader // valid until the next item
}

// Replay finds out what a queue of a directory holds. The caller must close the result.
//
// After a damaged range it is not known which item a removal is of. Nor is it known for an id, as
// Kestrel reuses ids. Nothing is removed then, so an item may come twice, and none is lost.
func Replay(fsys disk.FS, dir string, q Queue) (*Contents, error) {
	c := &Contents{q: newQueue(fsys, paths(dir, q.Files))}
	err := c.replay(&walker{fs: fsys, paths: c.q.adds.paths})
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Contents) replay(w *walker) error {
	defer w.close()
	for {
		o, err := w.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = c.q.apply(o, w.damaged())
		}
		if err != nil {
			return err
		}
	}
	c.Open = len(c.q.open)
	c.q.closeOpen()
	c.Items, c.Bytes, c.Findings = c.q.items, c.q.bytes, w.found
	return nil
}

// Each calls fn for every item, in the order of the queue, until fn returns an error. It can be
// called only once.
func (c *Contents) Each(fn func(Item) error) error {
	for range c.Items {
		e, err := c.q.pop()
		if err != nil {
			return err
		}
		f, err := c.q.file(e.file)
		if err != nil {
			return err
		}
		item := Item{e.added, e.expires, e.size, io.NewSectionReader(f, e.at, e.size)}
		if err := fn(item); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the files.
func (c *Contents) Close() error { return c.q.close() }

// queue is the state of a queue in the middle of its journal: the returned items, with the last one
// at the head, then the items that adds still has to read.
type queue struct {
	returned []entry
	adds     *walker
	open     map[int32]entry
	id       int32 // the last id used
	items    int64
	bytes    int64

	bodies disk.File // the file with the payload that was read last; nil: none
	body   int       // its index
}

func newQueue(fsys disk.FS, paths []string) queue {
	return queue{adds: &walker{fs: fsys, paths: paths}, open: map[int32]entry{}}
}

// apply applies one operation. With keep, it removes nothing.
func (q *queue) apply(o op, keep bool) error {
	switch o.kind {
	case add:
		q.count(o.item, +1)
	case resume:
		q.count(o.item, +1)
		if !keep {
			delete(q.open, o.id)
		}
	case remove:
		if keep || q.items == 0 {
			return nil
		}
		e, err := q.pop()
		q.count(e, -1)
		return err
	case open:
		return q.openHead(o.id, keep)
	case openItem:
		q.open[o.id] = o.item
	case saveID:
		q.id = o.id
	case unremove:
		if e, ok := q.open[o.id]; ok {
			q.unremove(o.id, e)
		}
	case confirm:
		if !keep {
			delete(q.open, o.id)
		}
	}
	return nil
}

func (q *queue) openHead(id int32, keep bool) error {
	if keep || q.items == 0 {
		return nil
	}
	e, err := q.pop()
	if err != nil {
		return err
	}
	q.count(e, -1)
	if id == nextID {
		id = q.nextID()
	}
	q.open[id] = e
	return nil
}

// nextID returns the id that Kestrel gave to the next item that it opened.
func (q *queue) nextID() int32 {
	for {
		q.id++
		if _, taken := q.open[q.id]; !taken {
			return q.id
		}
	}
}

// unremove returns an open item to the head.
func (q *queue) unremove(id int32, e entry) {
	delete(q.open, id)
	q.returned = append(q.returned, e)
	q.count(e, +1)
}

// closeOpen returns the items that were never confirmed to the head, in the order of their ids.
func (q *queue) closeOpen() {
	ids := slices.Sorted(maps.Keys(q.open))
	for _, id := range slices.Backward(ids) {
		q.unremove(id, q.open[id])
	}
}

func (q *queue) count(e entry, n int64) {
	q.items += n
	q.bytes += n * e.size
}

// pop removes and returns the head. The queue must not be empty.
func (q *queue) pop() (entry, error) {
	if n := len(q.returned); n > 0 {
		e := q.returned[n-1]
		q.returned = q.returned[:n-1]
		return e, nil
	}
	for {
		o, err := q.adds.next()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // a file has shrunk meanwhile
		}
		if err != nil || o.kind == add || o.kind == resume {
			return o.item, err
		}
	}
}

// file opens one of the queue's files, and closes the one before.
func (q *queue) file(i int) (disk.File, error) {
	if q.bodies != nil && q.body == i {
		return q.bodies, nil
	}
	if err := q.closeBodies(); err != nil {
		return nil, err
	}
	f, err := q.adds.fs.OpenRead(q.adds.paths[i])
	if err != nil {
		return nil, err
	}
	q.bodies, q.body = f, i
	return f, nil
}

func (q *queue) closeBodies() error {
	if q.bodies == nil {
		return nil
	}
	err := q.bodies.Close()
	q.bodies = nil
	return err
}

func (q *queue) close() error { return errors.Join(q.closeBodies(), q.adds.close()) }
