package wal_test

// What each step of a workload does, to the log and to what is known of it.

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/inspect"
)

func (w *world) do(q *queue, s step) error {
	who := s.who
	if s.n%5 == 0 && q.readers[2].c != nil {
		who = 2
	}
	if q.readers[who].c == nil {
		who = 0
	}
	switch s.op {
	case opAppend:
		return w.append(q, s.n%300+(s.n/300%10/9)*(s.n/3000%3700))
	case opLarge:
		return w.upload(q, 1000+s.n%200_000)
	case opBegin:
		return w.begin(q, 1+s.n%12_000)
	case opPiece:
		return w.piece(q, s.n)
	case opBreak:
		if n := len(q.coming); n > 0 {
			q.end(s.n % n).u.Abort()
		}
	case opMove:
		wal.MoveUploads(q.l)
	case opNext:
		return w.next(q, who)
	case opTryNext:
		return w.tryNext(q, who, s.n)
	case opTake:
		return w.take(q, who, s.n)
	case opTakeMany:
		return w.takeMany(q, who, s.n)
	case opTakeLarge:
		return w.takeLarge(q, who)
	case opSync:
		return w.sync([]*queue{q}, func() error { return q.l.Sync() })
	case opSyncAll:
		return w.sync(w.queues, w.syncShared)
	case opFlush:
		return w.flush(q, who)
	case opTidy:
		w.catchUp()
		wal.PrepareAndCleanup(q.l)
	case opKeepShort:
		return w.keepShort(q, s.n)
	case opCompact:
		return w.compact(q, who, s.n)
	case opRace:
		return w.race(q, who, s.n)
	case opGiveBack:
		wal.ShrinkIdle(q.l)
	case opReopen:
		return w.reopen(q, func() error { return nil })
	case opRewind:
		return w.rewind(q, s.who, s.n)
	case opJoin:
		return w.joinLate(q, s.n)
	case opLeave:
		return w.leaveLate(q)
	case opFill:
		w.fs.SetCapacity(w.fs.Used() + int64(s.n%30)<<12)
		w.full, w.bounded = true, true
	case opRoom:
		w.room()
	case opBudget:
		w.budget.Store(int64(s.n%400_000) - 100_000)
		w.bounded = w.bounded || w.budget.Load() >= 0
	case opWriteback:
		if !w.isCut() { // it has the same luck as the cut
			w.mu.Lock()
			w.fs.Writeback(w.luck)
			w.mu.Unlock()
		}
	}
	return nil
}

func (w *world) room() {
	w.fs.SetCapacity(-1)
	w.full = false
}

// body is an item's content. It differs from every other and can be checked in full.
func body(id string, n int) []byte {
	b := append(make([]byte, 0, max(n, 16)), id...)
	b = append(b, '|')
	for i := len(b); i < min(n, 256); i++ {
		b = append(b, byte(i*7)+id[len(id)-1])
	}
	for len(b) < n { // the pattern comes again after 256 bytes
		b = append(b, b[7:min(263, 7+n-len(b))]...)
	}
	return b
}

// patiently tries again while the backlog of sealing refuses items.
func (w *world) patiently(try func() error) error {
	for {
		err := try()
		if !errors.Is(err, wal.ErrBacklog) {
			return err
		}
		w.catchUp()
	}
}

func (w *world) append(q *queue, size int) error {
	return w.add(q, func(id string) (p wal.Position, err error) {
		err = w.patiently(func() error {
			p, err = tryAppend(q.l, body(id, size), keptOf(id))
			return err
		})
		return p, err
	})
}

func (w *world) upload(q *queue, size int) error {
	return w.add(q, func(id string) (p wal.Position, err error) {
		b := body(id, size)
		u, err := q.l.BeginLarge(int64(len(b)), keptOf(id))
		if err != nil {
			return p, err
		}
		for part := range slices.Chunk(b, 50_000) {
			if _, err := u.Write(part); err != nil {
				return p, errors.Join(err, u.Abort())
			}
		}
		err = w.patiently(func() error {
			p, err = u.TryCommit()
			return err
		})
		return p, err
	})
}

// begin begins an item that comes in pieces.
func (w *world) begin(q *queue, size int) error {
	if len(q.coming) >= 4 {
		return nil
	}
	w.mu.Lock()
	w.count++
	it := &item{id: fmt.Sprintf("%06d", w.count)}
	w.mu.Unlock()
	b := body(it.id, size)
	var u *wal.Upload
	err := w.patiently(func() (err error) {
		u, err = tryUploadWith(q.l, len(b), keptOf(it.id))
		return err
	})
	if w.mayRefuse(err) || errors.Is(err, wal.ErrTooLarge) { // uploads fill the segment
		return nil
	}
	if err == nil {
		q.coming = append(q.coming, &coming{it, b, b, u})
	}
	return err
}

// piece brings the next piece of an item, or gives it its place.
func (w *world) piece(q *queue, n int) (err error) {
	if len(q.coming) == 0 {
		return nil
	}
	at := n % len(q.coming)
	c := q.coming[at]
	if len(c.left) == 0 {
		q.end(at)
		return w.place(q, c.it, func() (p wal.Position, err error) {
			err = w.patiently(func() error {
				if p, err = c.u.TryCommit(); err == wal.ErrUnready {
					p, err = c.u.Commit()
				}
				return err
			})
			if err != nil {
				c.u.Abort()
			}
			c.it.moved = true
			return p, err
		})
	}
	piece := c.left[:min(len(c.left), 1+n/8%8000)]
	c.left = c.left[len(piece):]
	if room := c.u.Lend(); room != nil {
		c.u.Lent(copy(room, piece), false)
		return nil
	}
	if _, err = c.u.TryWrite(piece); err == wal.ErrUnready {
		_, err = c.u.Write(piece)
	}
	if err != nil {
		q.end(at).u.Abort()
	}
	if w.mayRefuse(err) || w.mayHaveRefused(err) {
		return nil
	}
	return err
}

// mayHaveRefused is mayRefuse for an item that comes in pieces: a bound that is gone by now may
// have kept it from moving.
func (w *world) mayHaveRefused(err error) bool { return errors.Is(err, wal.ErrFull) && w.bounded }

// end takes an item out of those that come in pieces.
func (q *queue) end(at int) *coming {
	c := q.coming[at]
	q.coming = slices.Delete(q.coming, at, at+1)
	return c
}

// breakOff ends all items that come in pieces.
func (q *queue) breakOff() {
	for len(q.coming) > 0 {
		q.end(0).u.Abort()
	}
}

// add gives the log an item, which a full disk or budget may refuse.
func (w *world) add(q *queue, store func(id string) (wal.Position, error)) error {
	w.mu.Lock()
	w.count++
	it := &item{id: fmt.Sprintf("%06d", w.count)}
	w.mu.Unlock()
	return w.place(q, it, func() (wal.Position, error) { return store(it.id) })
}

// mayRefuse reports whether there is a bound that accounts for an error.
func (w *world) mayRefuse(err error) bool {
	return errors.Is(err, wal.ErrFull) && (w.full || w.budget.Load() >= 0)
}

// place gives an item its place in the log.
func (w *world) place(q *queue, it *item, store func() (wal.Position, error)) error {
	w.mu.Lock()
	w.count++
	it.order = w.count
	for i := range it.by {
		it.by[i].owed = q.readers[i].joined
	}
	q.items[it.id] = it
	w.mu.Unlock()
	p, err := store()
	syncs := q.l.Stats().Syncs // not under mu, which the hook takes while the log is locked
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mayRefuse(err) || it.moved && w.mayHaveRefused(err) {
		it.refused = true
		return nil
	}
	it.appended, it.seq, it.p, it.syncs = true, p.Seq, p, syncs
	return err
}

func (w *world) next(q *queue, who int) error {
	p, _, ok, err := q.readers[who].c.Next()
	if err != nil || !ok {
		return err
	}
	return w.came(q, who, p)
}

// tryNext is handed an item that is ready. Sometimes it has the next one made ready first.
func (w *world) tryNext(q *queue, who, n int) error {
	c := q.readers[who].c
	if n%3 == 0 {
		c.GetReady()
	}
	p, _, ok, err := c.TryNext()
	if errors.Is(err, wal.ErrUnready) {
		return nil
	}
	if err != nil || !ok {
		return err
	}
	return w.came(q, who, p)
}

// came is for an item that a consumer was handed.
func (w *world) came(q *queue, who int, p wal.Position) error {
	r := &q.readers[who]
	it, err := q.read(p)
	if errors.Is(err, wal.ErrDamaged) && w.power && !q.knows(p.Seq) {
		w.excuses.add("a payload after a power cut, its item was not synced")
		return r.c.Take(p)
	}
	if err != nil {
		return err
	}
	if err := it.counts(r.c, who, p.Seq); err != nil {
		return err
	}
	if p.Seq%3 == 0 {
		w.mu.Lock()
		it.noted[who]++
		w.mu.Unlock()
		r.c.NoteDelivered(p, it.noted[who])
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	it.p, it.seq, it.appended = p, p.Seq, true
	d := &it.by[who]
	switch {
	case p.Seq < r.begin:
		return fmt.Errorf("item %s came to consumer %q, which began after it",
			it.id, consumerNames[who])
	case it.refused:
		return fmt.Errorf("item %s was refused and came", it.id)
	case d.taken && !d.maybe && !d.unnoted:
		return fmt.Errorf("item %s was taken and came again to consumer %q",
			it.id, consumerNames[who])
	}
	*d = delivery{owed: true}
	r.handed = append(r.handed, it)
	return nil
}

// counts is an error if more deliveries of an item are known than were noted.
func (it *item) counts(c *wal.Consumer, who int, seq uint64) error {
	if n := c.Deliveries(seq); n > it.noted[who] {
		return fmt.Errorf("item %s has %d deliveries, of which %d were noted", it.id, n,
			it.noted[who])
	}
	return nil
}

// knows reports whether an item with that number survived or was appended since.
func (q *queue) knows(seq uint64) bool {
	for _, it := range q.items {
		if it.appended && it.seq == seq {
			return true
		}
	}
	return false
}

// read gets an item's content and finds out which one it is.
func (q *queue) read(p wal.Position) (*item, error) {
	var b []byte
	var err error
	if p.Large() {
		var r io.ReadCloser
		if r, err = q.l.Open(p); err == nil {
			b, err = io.ReadAll(r)
			r.Close()
		}
	} else {
		b, _, err = q.l.Read(p, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("item %d: %w", p.Seq, err)
	}
	if len(b) < 7 {
		return nil, fmt.Errorf("item %d: got only %d bytes", p.Seq, len(b))
	}
	it := q.items[string(b[:6])]
	if it == nil || string(b) != string(body(it.id, len(b))) {
		return nil, fmt.Errorf("item %d came back with wrong bytes: %.10q, %d of them, known %v",
			p.Seq, b, len(b), it != nil)
	}
	return it, nil
}

// take takes one of what a consumer was handed, every other time out of order.
func (w *world) take(q *queue, who, n int) error {
	r := &q.readers[who]
	if len(r.handed) == 0 {
		return nil
	}
	i := n / 2 % len(r.handed)
	if n%2 == 0 {
		i = 0
	}
	it := r.handed[i]
	r.handed = slices.Delete(r.handed, i, i+1)
	w.mu.Lock()
	it.by[who].taking = true
	p := it.p
	w.mu.Unlock()
	err := r.c.Take(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	it.by[who].taken = true
	it.by[who].unnoted = w.full
	return err
}

// takeMany appends, and takes most of what it was handed, out of order: offset files are rewritten.
func (w *world) takeMany(q *queue, who, n int) (err error) {
	for range 40 {
		err = errors.Join(err, w.append(q, n%100), w.next(q, who))
	}
	for i := range 30 {
		err = errors.Join(err, w.take(q, who, 2*(n+7*i)+1))
	}
	if n%3 == 0 { // before the file is as long as its map
		wal.PrepareAndCleanup(q.l)
	}
	return err
}

// takeLarge is handed what there is and takes the large items, leaving the others open.
func (w *world) takeLarge(q *queue, who int) (err error) {
	for range 20 {
		err = errors.Join(err, w.next(q, who))
	}
	r := &q.readers[who]
	for i := len(r.handed) - 1; i >= 0; i-- {
		if r.handed[i].p.Large() {
			err = errors.Join(err, w.take(q, who, 2*i+1))
		}
	}
	return err
}

// keepShort has items pass through the log for some segments, the files of which are used again.
func (w *world) keepShort(q *queue, n int) (err error) {
	for who, r := range q.readers {
		if r.c != nil {
			err = errors.Join(err, w.flush(q, who))
		}
	}
	before := q.l.Stats().Reused
	for i := range 20 + n%200 {
		err = errors.Join(err, w.append(q, n%3900))
		for who, r := range q.readers {
			if r.c != nil {
				err = errors.Join(err, w.next(q, who), w.take(q, who, n*i&3))
			}
		}
		if i%(5+n%17) == 0 {
			w.catchUp()
			wal.PrepareAndCleanup(q.l)
		}
	}
	if !w.isCut() {
		w.excuses.reused.Add(int64(q.l.Stats().Reused - before))
	}
	return err
}

// compact fills a few segments, takes most of them out of order, and has them rewritten.
func (w *world) compact(q *queue, who, n int) error {
	err := w.scatter(q, who, n)
	w.catchUp()
	wal.PrepareAndCleanup(q.l)
	wal.Compact(q.l)
	return err
}

func (w *world) scatter(q *queue, who, n int) (err error) {
	for i := range n % 150 {
		err = errors.Join(err, w.append(q, n%3000))
		if (n>>(i%16))&1 == 0 {
			err = errors.Join(err, w.next(q, who), w.take(q, who, n+i))
		}
	}
	return err
}

// race compacts while the consumer takes out of order and its file is rewritten.
func (w *world) race(q *queue, who, n int) (err error) {
	err = w.scatter(q, who, n)
	var compacted sync.WaitGroup
	compacted.Go(func() { wal.Compact(q.l) })
	err = errors.Join(err, w.takeMany(q, who, n), wal.RewriteOffsets(q.l))
	wal.PrepareAndCleanup(q.l)
	compacted.Wait()
	return err
}

func (w *world) flush(q *queue, who int) error {
	w.mu.Lock()
	for _, it := range q.items {
		it.by[who].taking = true
	}
	w.mu.Unlock()
	err := q.readers[who].c.SkipToEnd()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range q.items {
		d := &it.by[who]
		d.taken, d.synced, d.maybe = true, d.synced && !d.maybe, false
	}
	q.readers[who].handed = nil
	return err
}

// sync knows afterwards that what there was before is safe.
func (w *world) sync(queues []*queue, do func() error) error {
	w.mu.Lock()
	for _, q := range queues {
		for _, it := range q.items {
			it.durable = it.appended
			for i := range it.by {
				it.by[i].durable = it.by[i].taken
			}
		}
		for i := range q.readers {
			q.readers[i].scratch = q.readers[i].joined && w.hasFile(q, i)
		}
	}
	w.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range queues {
		for _, it := range q.items {
			it.synced = it.synced || it.durable
			for i := range it.by {
				it.by[i].synced = it.by[i].synced || it.by[i].durable
			}
		}
		for i := range q.readers {
			q.readers[i].durable = q.readers[i].durable || q.readers[i].scratch
		}
	}
	return nil
}

// syncShared has all logs want a sync before one begins.
func (w *world) syncShared() error {
	release := wal.HoldSyncs(w.back)
	synced := make(chan error, len(w.queues))
	for _, q := range w.queues {
		q.l.SyncThen(func(err error) { synced <- err })
	}
	release()
	var errs []error
	for range w.queues {
		errs = append(errs, <-synced)
	}
	return errors.Join(errs...)
}

// syncedByTimer knows of an item that it is safe when two syncs have ended since: the second began
// after it.
func (w *world) syncedByTimer(q *queue) {
	if !w.background {
		return
	}
	syncs := q.l.Stats().Syncs
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range q.items {
		it.synced = it.synced || it.appended && w.image == nil && it.syncs+2 <= syncs
	}
}

// reopen parks the log and loads it again, with something done to its files in between.
func (w *world) reopen(q *queue, do func() error) error {
	q.breakOff()
	if err := w.sync([]*queue{q}, q.l.Close); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return w.openQueue(q)
}

// rewind puts back what a consumer has taken of the newer part of the log.
func (w *world) rewind(q *queue, who, n int) error {
	return w.reopen(q, func() error {
		from := uint64(0)
		w.mu.Lock()
		for _, it := range q.items {
			from = max(from, it.seq)
		}
		from = from * uint64(n%16) / 16
		for _, it := range q.items {
			if d := &it.by[who]; it.seq >= from && d.taking {
				d.maybe = true
			}
		}
		w.mu.Unlock()
		in, err := inspect.Open(w.fs, q.dir)
		if err != nil {
			return err
		}
		r, err := in.PlanRewind(consumerNames[who], from, 0)
		if err == nil {
			err = r.Do()
		}
		if isFull(err) {
			return nil
		}
		return err
	})
}

// joinLate adds the late consumer, which begins at one of the ends.
func (w *world) joinLate(q *queue, n int) error {
	r := &q.readers[2]
	if r.joining {
		return nil
	}
	r.from = wal.Start(n % 2)
	return w.join(q, 2)
}

// leaveLate removes the late consumer, so that all it had yet to take may go.
func (w *world) leaveLate(q *queue) error {
	r := &q.readers[2]
	if r.c == nil {
		return nil
	}
	if err := q.l.RemoveConsumer(consumerNames[2]); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	*r = reader{left: true}
	for _, it := range q.items {
		it.by[2] = delivery{}
	}
	return nil
}
