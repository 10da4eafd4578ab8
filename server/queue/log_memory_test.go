package queue

// A log in memory. It does what is asked of a log and nothing else, so the model is held against it
// as well: where the two logs differ, one is wrong.

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

// memoryLogs keeps the logs of a data directory. Their directories are there, and stand for them: a
// log whose directory went begins anew.
type memoryLogs struct {
	mu   sync.Mutex
	logs map[string]*memoryLog
}

func inMemory() *memoryLogs { return &memoryLogs{logs: make(map[string]*memoryLog)} }

func (all *memoryLogs) open(dir string, o wal.Options) (log, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	there, err := o.FS.ReadDir(dir)
	if err != nil {
		if err := o.FS.Mkdir(dir); err != nil {
			return nil, err
		}
	}
	l := all.logs[dir]
	if l == nil || err != nil || len(there) == 0 {
		l = &memoryLog{cursors: make(map[string]*memoryCursor)}
		all.logs[dir] = l
	}
	f, err := o.FS.Create(dir + "/log") // else it would be the directory of a queue that was not made
	if err != nil && len(there) == 0 {
		return nil, err
	}
	if err == nil {
		f.Close()
	}
	l.reopen()
	return &memoryHandle{memoryLog: l}, nil
}

func (all *memoryLogs) glance(fsys disk.FS, dir string) (g wal.Glance, err error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if _, err := fsys.ReadDir(dir); err != nil {
		return g, err
	}
	l := all.logs[dir]
	if l == nil {
		return g, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g.Appended, g.Segments = uint64(len(l.items)), 1
	if own := l.cursors[""]; own != nil {
		g.Items, g.Bytes = own.pending()
		for i := range l.items {
			if !own.taken[uint64(i+1)] {
				if g.Enqueued == 0 {
					g.Enqueued = l.items[i].meta.Enqueued
				}
				if e := l.items[i].meta.Expires; e != 0 && (g.Expires == 0 || e < g.Expires) {
					g.Expires = e
				}
				g.Due = max(g.Due, l.items[i].meta.Due())
			}
		}
	}
	return g, nil
}

// memoryLog is what stays of a log while it is not open.
type memoryLog struct {
	mu      sync.Mutex
	items   []memoryItem // number n is at n-1
	cursors map[string]*memoryCursor
	life    int // counts openings: what an earlier one gave is closed
}

type memoryItem struct {
	meta    Meta
	payload []byte
}

func (l *memoryLog) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life++
	for name, c := range l.cursors {
		l.cursors[name] = &memoryCursor{log: l, taken: c.taken, notes: c.notes, life: l.life}
	}
}

// memoryHandle is an open log.
type memoryHandle struct {
	*memoryLog
	closed bool
}

func (l *memoryHandle) TryAppend(payload []byte, m Meta) (Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return Position{}, wal.ErrClosed
	}
	l.items = append(l.items, memoryItem{m, bytes.Clone(payload)})
	return l.at(uint64(len(l.items))), nil
}

func (l *memoryLog) at(seq uint64) Position {
	it := &l.items[seq-1]
	return Position{Seq: seq, Size: int64(len(it.payload)), Flags: it.meta.Flags}
}

func (l *memoryHandle) CatchUp() {}
func (l *memoryHandle) CatchUpThen(fn func()) (stop func() bool) {
	go fn()
	return func() bool { return false }
}
func (l *memoryHandle) Prepare()                {}
func (l *memoryHandle) SyncThen(fn func(error)) { go fn(nil) }
func (l *memoryHandle) GiveBack()               {}
func (l *memoryHandle) Slim(context.Context)    {}
func (l *memoryHandle) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.items)) + 1
}

func (l *memoryHandle) Stats() wal.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return wal.Stats{Appended: uint64(len(l.items)), Segments: 1}
}

func (l *memoryHandle) Lent() bool { return false }

func (l *memoryHandle) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return wal.ErrClosed
	}
	return nil
}

func (l *memoryHandle) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.life++
	return nil
}

func (l *memoryHandle) Abandon() { _ = l.Close() }

func (l *memoryHandle) BeginLarge(size int64, m Meta) (largeBody, error) {
	return &memoryBody{log: l, size: size, meta: m}, nil
}

func (l *memoryHandle) TryUpload(size int, m Meta) (inlineBody, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, wal.ErrClosed
	}
	return &memoryInline{memoryBody{log: l, size: int64(size), meta: m}}, nil
}

func (l *memoryHandle) Cursor(name string, from wal.Start) (cursor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, wal.ErrClosed
	}
	c := l.cursors[name]
	if c == nil {
		c = &memoryCursor{
			log: l.memoryLog, taken: make(map[uint64]bool), notes: make(map[uint64]uint32),
			life: l.life,
		}
		l.cursors[name] = c
		if from == wal.Newest {
			c.skip()
		}
	}
	return c, nil
}

func (l *memoryHandle) RemoveConsumer(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || name == "" {
		return wal.ErrClosed
	}
	if c := l.cursors[name]; c != nil {
		c.life = 0
		delete(l.cursors, name)
	}
	return nil
}

// held is the numbers of the items that some cursor has yet to take.
func (l *memoryLog) held() (all []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.items {
		seq := uint64(i + 1)
		for _, c := range l.cursors {
			if !c.taken[seq] {
				all = append(all, seq)
				break
			}
		}
	}
	return all
}

type memoryCursor struct {
	log   *memoryLog
	taken map[uint64]bool
	notes map[uint64]uint32 // deliveries
	at    uint64            // the last that was handed out
	life  int
}

// isClosed: memoryLog.mu is held, as in all that follows.
func (c *memoryCursor) isClosed() bool { return c.life != c.log.life }

func (c *memoryCursor) TryNextInto(*More) (p Position, m Meta, ok bool, err error) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.isClosed() {
		return p, m, false, wal.ErrClosed
	}
	for c.at < uint64(len(c.log.items)) {
		c.at++
		if !c.taken[c.at] {
			return c.log.at(c.at), c.log.items[c.at-1].meta, true, nil
		}
	}
	return p, m, false, nil
}

func (c *memoryCursor) Seq() uint64 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.at + 1
}

func (c *memoryCursor) TryFindInto(_ *More, seq uint64) (p Position, m Meta, ok bool, err error) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.isClosed() {
		return p, m, false, wal.ErrClosed
	}
	if seq == 0 || seq > uint64(len(c.log.items)) || c.taken[seq] {
		return p, m, false, nil
	}
	return c.log.at(seq), c.log.items[seq-1].meta, true, nil
}

func (c *memoryCursor) Expires(maxAge int64) (at int64) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	for i, it := range c.log.items {
		if c.taken[uint64(i+1)] {
			continue
		}
		at = earliest(at, it.meta.Expires)
		if maxAge != 0 {
			at = earliest(at, it.meta.Enqueued+maxAge)
		}
	}
	return at
}

func (c *memoryCursor) EachExpired(
	expires, put int64, from uint64, fn func(Position, Meta) (stays, more bool),
) (uint64, error) {
	for seq := max(from, 1); ; seq++ {
		c.log.mu.Lock()
		if c.isClosed() || seq > uint64(len(c.log.items)) {
			c.log.mu.Unlock()
			return 0, nil
		}
		p, m, taken := c.log.at(seq), c.log.items[seq-1].meta, c.taken[seq]
		c.log.mu.Unlock()
		if taken || (m.Expires == 0 || m.Expires > expires) && m.Enqueued > put {
			continue
		}
		if _, more := fn(p, m); !more {
			return seq + 1, nil
		}
	}
}

func (c *memoryCursor) Revisit(Position) {}

func (c *memoryCursor) EachDue(after int64, fn func(p Position, m Meta)) error {
	c.log.mu.Lock()
	var found []uint64
	for i, it := range c.log.items {
		if seq := uint64(i + 1); it.meta.Due() > after && !c.taken[seq] {
			found = append(found, seq)
		}
	}
	c.log.mu.Unlock()
	for _, seq := range found {
		fn(c.log.at(seq), c.log.items[seq-1].meta)
	}
	return nil
}

func (c *memoryCursor) NoteDelivered(p Position, n uint32) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if !c.taken[p.Seq] {
		c.notes[p.Seq] = max(c.notes[p.Seq], n)
	}
}

func (c *memoryCursor) Deliveries(seq uint64) uint32 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.notes[seq]
}

func (c *memoryCursor) GetReady()           {}
func (c *memoryCursor) ReadyThen(fn func()) { go fn() }

func (c *memoryCursor) Read(p Position, dst []byte) ([]byte, error) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.isClosed() {
		return dst, wal.ErrClosed
	}
	return append(dst, c.log.items[p.Seq-1].payload...), nil
}

func (c *memoryCursor) TryRead(p Position, dst []byte) ([]byte, error) { return c.Read(p, dst) }

func (c *memoryCursor) Borrow(p Position) (Loan, error) {
	b, err := c.Read(p, nil)
	return Loan{Payload: b}, err
}

func (c *memoryCursor) TryBorrow(p Position) (Loan, error) { return c.Borrow(p) }

func (c *memoryCursor) Open(p Position) (Body, error) {
	b, err := c.Read(p, nil)
	return memoryReader{bytes.NewReader(b)}, err
}

func (c *memoryCursor) Origin(p Position) (*wal.Origin, error) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.log.items[p.Seq-1].meta.Origin(), nil
}

type memoryReader struct{ *bytes.Reader }

func (r memoryReader) Lend(loans []Loan, n int64) ([]Loan, error) {
	b := make([]byte, min(n, int64(r.Len())))
	if _, err := r.Read(b); err != nil {
		return loans, err
	}
	return append(loans, Loan{Payload: b}), nil
}

func (memoryReader) Close() error { return nil }

func (c *memoryCursor) Take(p Position) error {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.isClosed() {
		return wal.ErrClosed
	}
	c.taken[p.Seq] = true
	return nil
}

func (c *memoryCursor) Taken(p Position) bool {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.taken[p.Seq]
}

func (c *memoryCursor) SkipToEnd() error {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.isClosed() {
		return wal.ErrClosed
	}
	c.skip()
	return nil
}

func (c *memoryCursor) skip() {
	for c.at = 0; c.at < uint64(len(c.log.items)); {
		c.at++
		c.taken[c.at] = true
	}
}

func (c *memoryCursor) Pending() (items, bytes int64) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.pending()
}

func (c *memoryCursor) pending() (items, bytes int64) {
	for i := range c.log.items {
		if !c.taken[uint64(i+1)] {
			items++
			bytes += int64(len(c.log.items[i].payload))
		}
	}
	return items, bytes
}

type memoryBody struct {
	log  *memoryHandle
	size int64
	meta Meta
	body []byte
}

func (b *memoryBody) Write(p []byte) (int, error) {
	b.body = append(b.body, p...)
	return len(p), nil
}

func (b *memoryBody) Move(by int64) { b.meta.Move(by) }

func (b *memoryBody) TryCommit() (Position, error) {
	if int64(len(b.body)) != b.size {
		return Position{}, errors.New("the body is not whole")
	}
	return b.log.TryAppend(b.body, b.meta)
}

func (b *memoryBody) Abort() error { return nil }

// memoryInline lends memory of its own.
type memoryInline struct{ memoryBody }

func (b *memoryInline) Lend() []byte {
	n := len(b.body)
	b.body = append(b.body, make([]byte, b.size-int64(n))...)[:n]
	return b.body[n:b.size]
}

func (b *memoryInline) Lent(n int, _ bool) (last byte) {
	if b.body = b.body[:len(b.body)+n]; n > 0 {
		last = b.body[len(b.body)-1]
	}
	return last
}

func (b *memoryInline) TryWrite(p []byte) (int, error) { return b.Write(p) }
func (b *memoryInline) Aside() bool                    { return false }
func (b *memoryInline) Commit() (Position, error)      { return b.TryCommit() }
func (b *memoryInline) Abort()                         { _ = b.memoryBody.Abort() }

// anyLog runs a test on either log.
var anyLog = []struct {
	name string
	logs func() logs
}{
	{"wal", func() logs { return walLogs{} }},
	{"memory", func() logs { return inMemory() }},
}

// cursorsOf names the cursors of a store's log, in order.
func cursorsOf(s *store) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q := range s.queuesLocked() {
		names = append(names, q.reader)
	}
	slices.Sort(names)
	return names
}
