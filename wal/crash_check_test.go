package wal_test

// What recovery has to deliver.

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal"
)

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// check opens the image and holds what it delivers against what was promised.
func (w *world) check() error {
	for i, q := range w.queues { // darner-fsck finds no damage where nothing was lost
		_, err := examineBut(w.fs, q.dir, func(f fsck.Finding) bool {
			var seq uint64
			n, err := fmt.Sscanf(f.File, "%d.item", &seq)
			unsynced := n == 1 && err == nil && w.neverSynced(&w.atCut[i], seq)
			// A sector that is lost may look like a flipped bit, and costs as little.
			return unsynced || w.power && f.Kind == fsck.FlippedBit
		})
		if err != nil {
			return err
		}
		if _, err := wal.Look(w.fs, q.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := w.open(); err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	defer w.close()
	for i, q := range w.queues {
		if err := w.checkQueue(q, &w.atCut[i]); err != nil {
			return fmt.Errorf("log %d: %w", i, err)
		}
	}
	w.room()
	w.budget.Store(-1)
	for i, q := range w.queues {
		if err := w.goesOn(q); err != nil {
			return fmt.Errorf("log %d: %w", i, err)
		}
	}
	return nil
}

func (w *world) checkQueue(q *queue, was *known) error {
	var back [mostConsumers]map[string]bool
	for i := range q.readers {
		if q.readers[i].c == nil {
			r := was.readers[i]
			if r.joined && !q.readers[i].left && (r.durable || r.filed && !w.power) {
				return fmt.Errorf("consumer %q is lost", consumerNames[i])
			}
			q.readers[i].joined = false // there is no room for it yet
			continue
		}
		var err error
		if back[i], err = w.delivered(q, was, i); err != nil {
			return fmt.Errorf("consumer %q: %w", consumerNames[i], err)
		}
	}
	if n := q.l.Stats().Damaged; n > 0 && !w.power {
		return fmt.Errorf("%d items count as lost after a kill", n)
	}
	// From here on the world is what survived. What came to nobody may be gone, or come to a late
	// consumer.
	for id, it := range q.items {
		survived := &item{id: id, order: it.order, seq: it.seq, noted: it.noted}
		for i := range q.readers {
			came := back[i][id]
			survived.by[i] = delivery{owed: came, taking: !came, maybe: !came}
			survived.appended = survived.appended || came
		}
		survived.synced = survived.appended
		q.items[id] = survived
	}
	for i := range q.readers {
		q.readers[i].durable, q.readers[i].begin = false, 0
	}
	return nil
}

// delivered drains one consumer.
func (w *world) delivered(q *queue, was *known, by int) (back map[string]bool, err error) {
	c := q.readers[by].c
	pending, _ := c.Pending()
	var last *item
	back = map[string]bool{}
	for {
		p, m, ok, err := c.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		it, err := q.read(p)
		if errors.Is(err, wal.ErrDamaged) && w.neverSynced(was, p.Seq) {
			pending--
			if err := c.Take(p); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := checkKept(q.l, p, m, it.id); err != nil {
			return nil, err
		}
		if last != nil && (it.order <= last.order || p.Seq <= last.seq) {
			return nil, fmt.Errorf("item %s comes after %s", it.id, last.id)
		}
		if err := w.mayCome(was, it, by, p.Seq); err != nil {
			return nil, err
		}
		if err := it.counts(c, by, p.Seq); err != nil {
			return nil, err
		}
		it.seq = p.Seq
		last = it
		back[it.id] = true
	}
	if pending != int64(len(back)) {
		return nil, fmt.Errorf("%d items were announced, %d came", pending, len(back))
	}
	for id, it := range was.items {
		if !back[id] && w.mustCome(was, &it, by) {
			return nil, fmt.Errorf("item %s (number %d) is lost", id, it.seq)
		}
	}
	return back, nil
}

// neverSynced excuses the missing body of an item that was not promised yet.
func (w *world) neverSynced(was *known, seq uint64) bool {
	if !w.power {
		return false
	}
	why := "a body after a power cut, its upload was not over"
	for _, it := range was.items {
		if it.appended && it.seq == seq {
			if it.synced {
				return false
			}
			why = "a body after a power cut, its item was not synced"
		}
	}
	w.excuses.add(why)
	return true
}

// mayCome is an error for an item that must not come.
func (w *world) mayCome(was *known, it *item, by int, seq uint64) error {
	k := was.items[it.id]
	d := k.by[by]
	switch {
	case k.refused:
		return fmt.Errorf("item %s was refused and came", it.id)
	case k.appended && k.seq != seq:
		return fmt.Errorf("item %s had number %d and has %d", it.id, k.seq, seq)
	case was.readers[by].joined && seq < was.readers[by].begin &&
		(!w.power || was.readers[by].durable):
		return fmt.Errorf("item %s came to a consumer that began after it", it.id)
	case d.maybe || !d.taken || w.power && !d.synced:
		return nil
	case d.unnoted:
		w.excuses.add("taken while the disk was full")
		return nil
	case w.power:
		return fmt.Errorf("item %s was taken before the last sync and came back", it.id)
	}
	return fmt.Errorf("item %s was taken before the kill and came back", it.id)
}

// mustCome reports that an item was promised to a consumer.
func (w *world) mustCome(was *known, it *item, by int) bool {
	d, r := it.by[by], was.readers[by]
	if !it.appended || !d.owed || d.taking || d.maybe {
		return false
	}
	return !w.power && r.joined || w.power && it.synced && (r.durable || by == 0)
}

// goesOn: the log takes items again and gives them new numbers.
func (w *world) goesOn(q *queue) error {
	if err := w.append(q, 10); err != nil {
		return err
	}
	var newest *item
	for _, it := range q.items {
		if it.order == w.count {
			newest = it
		}
	}
	for id, it := range q.items {
		if it != newest && it.appended && it.seq >= newest.seq {
			return fmt.Errorf("number %d of item %s was given again", it.seq, id)
		}
	}
	return w.sync([]*queue{q}, func() error { return q.l.Close() })
}
