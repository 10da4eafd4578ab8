package queue

// What the files have to have after a crash.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/darner/darner/wal"
)

// left is a record that the files have.
type left struct {
	at         place
	id         string
	size       int64
	meta       wal.Meta
	deliveries uint32
	origin     *wal.Origin
}

// checkFiles holds the files against what was promised, and returns what they have. From there on
// that is what is known.
func (w *crashWorld) checkFiles() (all []left, err error) {
	w.torn = map[place]bool{}
	for _, name := range queueNames {
		some, err := w.readFiles(name)
		if err != nil {
			return nil, fmt.Errorf("files of queue %s: %w", name, err)
		}
		all = append(all, some...)
	}
	byID := map[string][]left{}
	for _, x := range all {
		byID[x.id] = append(byID[x.id], x)
	}
	for _, x := range all {
		if err := w.mayBeThere(&x); err != nil {
			return nil, fmt.Errorf("item %s, number %d of queue %s: %w", x.id, x.at.seq, x.at.queue, err)
		}
	}
	for at, k := range w.atCut.records {
		if len(byID[k.id]) == 0 && w.isOwed(at, &k) {
			return nil, fmt.Errorf("item %s, number %d of queue %s, is lost", k.id, at.seq, at.queue)
		}
	}
	for id, places := range byID {
		if most := w.mostCopies(id); len(places) > most {
			return nil, fmt.Errorf("item %s is in %d places, want %d at most: %v", id, len(places),
				most, places)
		}
		if len(places) > 1 {
			w.seen.twice.Add(1)
		}
	}
	if err := w.checkOrder(all); err != nil {
		return nil, err
	}
	w.goOnFrom(all)
	return all, nil
}

// readFiles reads the log of a queue on a copy of the image.
func (w *crashWorld) readFiles(name string) (all []left, err error) {
	image := w.image.Clone()
	image.SetCapacity(-1)
	dir := "/data/" + name
	glance, err := wal.Look(image, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	o := w.options(image).Log
	o.Guarded = true
	l, err := wal.Open(dir, o)
	if err != nil {
		return nil, err
	}
	defer l.Abandon()
	c, err := l.Consumer("", wal.Oldest)
	if err != nil {
		return nil, err
	}
	if n := l.Stats().Damaged; n > 0 && !w.power {
		return nil, fmt.Errorf("%d items count as lost after a kill", n)
	}
	items, size := c.Pending()
	if glance.Items != items && !glance.Unsure {
		return nil, fmt.Errorf("a glance sees %d items, %d are there", glance.Items, items)
	}
	for {
		p, m, ok, err := c.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		x := left{at: place{name, p.Seq}, size: p.Size, meta: m, deliveries: c.Deliveries(p.Seq)}
		if x.id, err = readRaw(l, p); errors.Is(err, wal.ErrDamaged) && w.power && p.Large() {
			items, size = items-1, size-p.Size // its body was not synced
			w.torn[place{name, p.Seq}] = true
			if err := c.Take(p); err != nil {
				return nil, err
			}
			continue
		}
		if err == nil {
			x.origin, err = l.Origin(p)
		}
		if err != nil {
			return nil, fmt.Errorf("number %d: %w", p.Seq, err)
		}
		size -= p.Size
		all = append(all, x)
	}
	if size != 0 && w.power { // rarely: what was taken and lost is known by its number alone
		w.seen.inexact.Add(1)
		size = 0
	}
	if items != int64(len(all)) || size != 0 {
		return nil, fmt.Errorf("%d items were announced, %d came, %d bytes too many were announced",
			items, len(all), size)
	}
	return all, checkTimes(l, c, glance, all)
}

func readRaw(l *wal.Log, p wal.Position) (string, error) {
	var b []byte
	var err error
	if p.Large() {
		var r *wal.Body
		if r, err = l.Open(p); err == nil {
			b, err = io.ReadAll(r)
			err = errors.Join(err, r.Close())
		}
	} else {
		b, _, err = l.Read(p, nil)
	}
	if err != nil || len(b) < 6 {
		return "", errors.Join(err, checkLength(b))
	}
	return string(b[:6]), nil
}

func checkLength(b []byte) error {
	if len(b) < 6 {
		return fmt.Errorf("the item has %d bytes: %w", len(b), wal.ErrDamaged)
	}
	return nil
}

// checkTimes holds what a log says of its times against its items.
func checkTimes(l *wal.Log, c *wal.Consumer, glance wal.Glance, all []left) error {
	now := time.Now().UnixMilli()
	var later, expired, found []uint64
	for _, x := range all {
		if x.meta.Due() > now {
			later = append(later, x.at.seq)
		}
		if x.meta.Expires != 0 && x.meta.Expires <= now {
			expired = append(expired, x.at.seq)
		}
		for _, at := range []int64{glance.Expires, c.Expires(0)} {
			if glance.Unsure && at == glance.Expires {
				continue
			}
			if x.meta.Expires != 0 && (at == 0 || at > x.meta.Expires) {
				return fmt.Errorf("the log says that it expires at %d, but an item does at %d", at,
					x.meta.Expires)
			}
		}
		if glance.Due < x.meta.Due() && !glance.Unsure {
			return fmt.Errorf("a glance says that all is due at %d, but an item is at %d", glance.Due,
				x.meta.Due())
		}
	}
	err := c.EachDue(now, func(p wal.Position, _ wal.Meta) { found = append(found, p.Seq) })
	if err != nil || !slices.Equal(found, later) {
		return fmt.Errorf("got the delayed items %v, %v, want %v", found, err, later)
	}
	found = nil
	_, err = c.EachExpired(now, 0, 0, func(p wal.Position, _ wal.Meta) (stays, more bool) {
		found = append(found, p.Seq)
		return true, true
	})
	if err != nil || !slices.Equal(found, expired) {
		return fmt.Errorf("got the expired items %v, %v, want %v", found, err, expired)
	}
	return nil
}

// mayBeThere is an error for a record that must not be there, or says something else than what was
// put.
func (w *crashWorld) mayBeThere(x *left) error {
	k, known := w.atCut.records[x.at]
	home := slices.Contains(homes, x.at.queue)
	switch {
	case w.refused[x.id]:
		return errors.New("it was refused")
	case !known && home && w.atCut.coming[x.id] == x.at.queue:
		return nil // its put was under way
	case !known && home:
		return errors.New("nobody put it there")
	case !known:
		return w.checkOrigin(x)
	case k.id != x.id:
		return fmt.Errorf("it was item %s", k.id)
	case k.gone && !w.power:
		return errors.New("it was taken before the kill, and came back")
	case k.forGood && w.power:
		return errors.New("it was taken before the last sync, and came back")
	case x.size != k.size || x.meta.Due() != k.due || x.meta.Expires != k.expires ||
		x.meta.Enqueued != k.enqueued:
		return fmt.Errorf("got %d bytes and %+v, want %+v", x.size, x.meta, k)
	case x.deliveries > k.returning:
		return fmt.Errorf("it says %d deliveries, at most %d were", x.deliveries, k.returning)
	case !w.power && x.deliveries < k.noted, w.power && x.deliveries < k.notedSynced:
		return fmt.Errorf("it says %d deliveries, %d were noted (%d synced)", x.deliveries, k.noted,
			k.notedSynced)
	}
	return nil
}

// checkOrigin holds what a record that was moved says of where it was.
func (w *crashWorld) checkOrigin(x *left) error {
	o := x.origin
	if o == nil {
		return errors.New("it does not say where it was")
	}
	at := place{o.Log, o.Seq}
	k, known := w.atCut.records[at]
	switch {
	case !known && w.atCut.coming[x.id] == o.Log: // the cut came before its put returned
	case !known && !slices.Contains(homes, o.Log): // it was moved twice, and nobody saw it
	case !known || k.id != x.id:
		return fmt.Errorf("it says that it was number %d of queue %s", o.Seq, o.Log)
	case !w.mayMove(at, &k, w.atCut.now):
		return errors.New("it was moved too early")
	case o.Deliveries > k.returning:
		return fmt.Errorf("it says %d deliveries, at most %d were", o.Deliveries, k.returning)
	case o.Expires != k.expires || o.Enqueued != k.enqueued || x.size != k.size:
		return fmt.Errorf("it says %+v, want %+v", o, k)
	}
	if x.meta.Expires != 0 || x.meta.Due() != 0 {
		return fmt.Errorf("it was moved and has times: %+v", x.meta)
	}
	return nil
}

// isOwed reports whether an item is promised to be somewhere.
func (w *crashWorld) isOwed(at place, k *kept) bool {
	moved := !slices.Contains(homes, at.queue) && !k.base // where it was before is looked at, too
	if !k.stored || w.power && (moved || !k.synced) {
		return false
	}
	for other, o := range w.atCut.records {
		if o.id == k.id && (o.ending || w.mayBeDropped(other, &o, w.atCut.now)) {
			return false
		}
	}
	return true
}

// mostCopies is in how many places an item may be: after a kill in one more for each record that
// was being moved, after a power cut for each that may have moved since it was taken for good.
func (w *crashWorld) mostCopies(id string) int {
	most := max(1, w.copies[id])
	for at, k := range w.atCut.records {
		switch {
		case k.id != id || k.ending && k.gone:
		case w.power && !k.forGood && w.mayMove(at, &k, w.atCut.now),
			w.atCut.full && w.mayMove(at, &k, w.atCut.now),
			w.atCut.moving[at], w.atCut.unknown[at.queue] && w.mayMove(at, &k, w.atCut.now):
			most++
		}
	}
	for _, target := range []string{"old", "dead"} { // of which not every record is known
		if w.settings[target].ExpireTo != "" {
			most++
		}
	}
	return most
}

// checkOrder holds what was moved together to have moved in order.
func (w *crashWorld) checkOrder(all []left) error {
	type together struct {
		from, to string
		ends     int64
	}
	last := map[together]uint64{}
	for _, x := range all {
		if x.origin == nil || x.origin.Why != wal.Expired {
			continue
		}
		from := place{x.origin.Log, x.origin.Seq}
		k, known := w.atCut.records[from]
		if _, base := w.atCut.records[x.at]; base || !known || k.touched {
			continue
		}
		t := together{x.origin.Log, x.at.queue, w.ends(from.queue, k.enqueued, k.expires)}
		if x.origin.Seq < last[t] {
			return fmt.Errorf("item %s of queue %s was moved after number %d", x.id, from.queue, last[t])
		}
		last[t] = x.origin.Seq
	}
	return nil
}

// goOnFrom makes what is left what is known.
func (w *crashWorld) goOnFrom(all []left) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records, w.copies = map[place]*kept{}, map[string]int{}
	for _, x := range all {
		w.copies[x.id]++
		w.records[x.at] = &kept{
			id: x.id, size: x.size, enqueued: x.meta.Enqueued, expires: x.meta.Expires,
			due: x.meta.Due(), stored: true, synced: true, base: true,
			touched: x.deliveries > 0, returning: x.deliveries, noted: x.deliveries,
			notedSynced: x.deliveries,
		}
		w.seen.left.Add(1)
		if x.meta.Due() > w.atCut.now {
			w.seen.delayed.Add(1)
		}
		if x.origin != nil {
			w.seen.moved.Add(1)
		}
	}
}

func (x left) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s number %d", x.at.queue, x.at.seq)
	if x.origin != nil {
		fmt.Fprintf(&b, " (from %s number %d)", x.origin.Log, x.origin.Seq)
	}
	return b.String()
}
