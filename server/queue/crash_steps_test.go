package queue

// What each step of a workload does, to the queues and to what is known of them.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing/synctest"
	"time"

	"github.com/darner/darner/wal"
)

func (w *crashWorld) do(s step) error {
	switch s.op {
	case opPut:
		return w.put(s.queue, s.n, 10+s.n/300%300+s.n/90_000%8/7*6000)
	case opPutMany:
		for range 5 + s.n%15 {
			if err := w.put(s.queue, s.n, 20); err != nil {
				return err
			}
		}
	case opLarge:
		return w.put(s.queue, s.n, 20_000+s.n%60_000)
	case opFetch:
		_, err := w.fetch(s.queue)
		return err
	case opConfirm:
		return w.confirm(s.queue, s.n)
	case opReturn:
		return w.giveBack(s.queue, s.n)
	case opFail:
		return w.fail(s.queue)
	case opSync:
		return w.sync(s.queue)
	case opPass:
		w.pass(time.Duration(1+s.n%12) * time.Second)
	case opExpire:
		_, err := w.queue(s.queue).FlushExpired()
		return err
	case opPark:
		w.queue(s.queue).store.park(1 << 60)
	case opRestart:
		return w.restart()
	case opFill:
		w.setFull(w.fs.Used() + int64(s.n%40)<<12)
	case opRoom:
		w.room()
	case opWriteback:
		if !w.isCut() { // it has the same luck as the cut
			w.mu.Lock()
			w.fs.Writeback(w.luck)
			w.mu.Unlock()
		}
	}
	return nil
}

func (w *crashWorld) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *crashWorld) setFull(capacity int64) {
	w.fs.SetCapacity(capacity)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full, w.atCut.full = true, true
}

func (w *crashWorld) room() {
	w.fs.SetCapacity(-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = false
}

// put puts an item as a session does. n chooses its times.
func (w *crashWorld) put(queue string, n, size int) error {
	if !slices.Contains(homes, queue) {
		queue = homes[n%len(homes)]
	}
	now := time.Now().UnixMilli()
	m := wal.Meta{Enqueued: now}
	if n%3 == 0 {
		m.Expires = now + int64(1+n/3%5)*5000
	}
	if n%7 < 2 {
		m.SetDue(now + int64(1+n/7%6)*2500)
	}
	k := &kept{size: int64(size), enqueued: now, expires: m.Expires, due: m.Due()}
	if delay := w.settings[queue].Delay; delay > 0 && k.due == 0 {
		k.due = now + delay.Milliseconds()
	}
	w.mu.Lock()
	w.count++
	k.id = fmt.Sprintf("%06d", w.count)
	w.coming[k.id] = queue
	w.mu.Unlock()
	q := w.queue(queue)
	err := storePatiently(q, contentOf(k.id, size), m)
	if w.mayRefuse(queue, err) {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.coming, k.id)
		w.refused[k.id] = true
		return nil
	}
	if err != nil {
		return err
	}
	q.store.mu.Lock()
	at := place{queue, q.store.log.Next() - 1}
	q.store.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.coming, k.id)
	if was := w.records[at]; was != nil && !was.gone && !was.ending {
		return fmt.Errorf("item %s has number %d, like item %s", k.id, at.seq, was.id)
	}
	k.stored = true
	w.records[at], w.copies[k.id] = k, 1
	return nil
}

// contentOf is the payload of an item. It differs from every other one all along.
func contentOf(id string, size int) []byte {
	b := append(make([]byte, 0, size), id...)
	var key [32]byte
	copy(key[:], id)
	b = b[:size]
	rand.NewChaCha8(key).Read(b[len(id):])
	return b
}

func storePatiently(q *Queue, body []byte, m wal.Meta) error {
	if len(body) > 16<<10 {
		return q.stream(bytes.NewReader(body), int64(len(body)), m)
	}
	err := q.Put(body, m)
	for tries := 0; tries < putTries; tries++ {
		switch {
		case errors.Is(err, ErrBacklog):
			q.catchUp()
		case errors.Is(err, ErrDiscardOldest):
			if err = q.DiscardOldest(err); err != nil {
				return err
			}
		default:
			return err
		}
		err = q.Put(body, m)
	}
	return err
}

// readID reads an item, and returns what it is.
func readID(q *Queue, it Item) (string, error) {
	var b []byte
	var err error
	if it.Large() {
		var r io.ReadCloser
		if r, err = q.Open(it); err == nil {
			b, err = io.ReadAll(r)
			err = errors.Join(err, r.Close())
		}
	} else {
		b, err = q.Read(it, nil)
	}
	if err != nil {
		return "", err
	}
	if len(b) < 6 || int64(len(b)) != it.Size || !bytes.Equal(b, contentOf(string(b[:6]), len(b))) {
		return "", fmt.Errorf("number %d of queue %s has another content", it.Seq, q.Name())
	}
	return string(b[:6]), nil
}

// mayLackBody reports whether an error says that a large item lost its body, as it may in a power
// cut before it was synced. The files did not count it then.
func (w *crashWorld) mayLackBody(at place, it Item, err error) bool {
	lacks := w.power && it.Large() && errors.Is(err, ErrDamaged)
	w.mu.Lock()
	defer w.mu.Unlock()
	return lacks && w.torn[at]
}

// fetch opens the head. It is false if nothing waits.
func (w *crashWorld) fetch(queue string) (bool, error) {
	q := w.queue(queue)
	it, ok, err := q.Fetch()
	if err != nil || !ok {
		return false, err
	}
	id, err := readID(q, it)
	if w.mayLackBody(place{queue, it.Seq}, it, err) {
		q.Drop(it)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("number %d: %w", it.Seq, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := place{queue, it.Seq}
	k := w.records[at]
	if k == nil { // it was moved here
		k = &kept{id: id, size: it.Size, enqueued: it.Enqueued, stored: true, synced: true}
		w.records[at] = k
	}
	now := time.Now().UnixMilli()
	switch {
	case k.id != id:
		return false, fmt.Errorf("number %d is item %s, want %s", it.Seq, id, k.id)
	case k.gone || k.ending:
		return false, fmt.Errorf("item %s was taken and comes again", id)
	case k.due > now:
		return false, fmt.Errorf("item %s comes %d ms before its time", id, k.due-now)
	case w.hasExpired(at, k, now):
		return false, fmt.Errorf("item %s has expired and comes", id)
	}
	for _, o := range w.open[queue] {
		if o.Seq == it.Seq {
			return false, fmt.Errorf("item %s is open twice", id)
		}
	}
	k.touched = true
	w.open[queue] = append(w.open[queue], it)
	return true, nil
}

// close takes one of the open items out of the list.
func (w *crashWorld) close(queue string, n int) (it Item, k *kept, ok bool) {
	list := w.open[queue]
	if len(list) == 0 {
		return it, nil, false
	}
	i := n % len(list)
	it = list[i]
	w.open[queue] = slices.Delete(list, i, i+1)
	w.mu.Lock()
	defer w.mu.Unlock()
	return it, w.records[place{queue, it.Seq}], true
}

func (w *crashWorld) confirm(queue string, n int) error {
	it, k, ok := w.close(queue, n)
	if !ok {
		return nil
	}
	w.set(func() { k.ending = true })
	if err := w.queue(queue).Confirm(it); err != nil {
		return err
	}
	w.set(func() { k.unsure, k.gone = w.full, !w.full })
	return nil
}

func (w *crashWorld) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *crashWorld) giveBack(queue string, n int) error {
	it, k, ok := w.close(queue, n)
	if !ok {
		return nil
	}
	w.set(func() { k.returning++ })
	if err := w.queue(queue).Return(it); err != nil {
		return err
	}
	set := w.settings[queue]
	if (set.MaxDeliveries > 0 || set.RetryDelay > 0) && !w.full {
		w.set(func() { k.noted = max(k.noted, it.deliveries+1) })
	}
	return nil
}

// fail delivers the head until it stays away.
func (w *crashWorld) fail(queue string) error {
	for range 3 {
		ok, err := w.fetch(queue)
		if !ok || err != nil {
			return err
		}
		if err := w.giveBack(queue, len(w.open[queue])-1); err != nil {
			return err
		}
	}
	return nil
}

// sync notes what is on stable storage when a sync has ended.
func (w *crashWorld) sync(queue string) error {
	if err := w.observe(); err != nil {
		return err
	}
	all := w.known(queue)
	w.set(func() { w.beginSync(all) })
	if err := w.queue(queue).sync(); err != nil {
		return err
	}
	w.set(func() { w.endSync(all) })
	return nil
}

func (w *crashWorld) beginSync(all []place) {
	for _, at := range all {
		k := w.records[at]
		k.syncing, k.goneThen, k.notedThen = k.stored, k.gone, k.noted
	}
}

func (w *crashWorld) endSync(all []place) {
	for _, at := range all {
		k := w.records[at]
		k.synced = k.synced || k.syncing
		k.forGood = k.forGood || k.goneThen
		k.notedSynced = max(k.notedSynced, k.notedThen)
	}
}

// restart stops the queues in peace.
func (w *crashWorld) restart() error {
	if err := w.observe(); err != nil {
		return err
	}
	var all []place
	for _, name := range queueNames {
		all = append(all, w.known(name)...)
	}
	w.set(func() { w.beginSync(all) })
	err := w.r.Close()
	if err != nil {
		return err
	}
	w.set(func() { w.endSync(all) })
	w.open = map[string][]Item{}
	return w.start()
}
