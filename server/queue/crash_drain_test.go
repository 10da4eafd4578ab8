package queue

// What the queues have to deliver after a crash, and when.

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"
)

// drained is a record that is to leave.
type drained struct {
	left
	over bool // it was delivered, or is where it was moved to
}

// drain is what the queues have after a crash, until all of it has left.
type drain struct {
	*crashWorld
	r     *Registry
	list  map[string][]*drained // in order
	moved map[place]*drained    // by where it was before
}

// checkQueues opens the queues on a copy of the image, and takes all that is there, each at its
// time.
func (w *crashWorld) checkQueues(all []left) error {
	image := w.image.Clone()
	image.SetCapacity(-1)
	r, err := OpenRegistry("/data", w.options(image))
	if err != nil {
		return err
	}
	defer r.Close()
	d := &drain{w, r, map[string][]*drained{}, map[place]*drained{}}
	for _, x := range all {
		e := &drained{left: x}
		d.list[x.at.queue] = append(d.list[x.at.queue], e)
		d.moved[x.at] = e
	}
	time.Sleep(5 * time.Second)
	for range 500 { // a bounded queue takes a few every ten seconds
		synctest.Wait()
		for _, name := range queueNames {
			if err := d.takeFrom(name); err != nil {
				return fmt.Errorf("queue %s: %w", name, err)
			}
		}
		if d.isOver() {
			return d.checkEmpty()
		}
		time.Sleep(3 * time.Second)
	}
	for _, x := range d.moved {
		if !x.over && !d.isDropped(x) {
			return fmt.Errorf("item %s, number %d of queue %s, never came (%d bytes, %+v; now %d)", x.id, x.at.seq,
				x.at.queue, x.size, x.meta, time.Now().UnixMilli())
		}
	}
	return nil
}

func (d *drain) queue(name string) *Queue {
	q, err := d.r.Queue([]byte(name))
	if err != nil {
		panic(err)
	}
	return q
}

func (d *drain) hasEnded(x *drained) bool {
	ends := d.ends(x.at.queue, x.meta.Enqueued, x.meta.Expires)
	return ends != 0 && ends <= time.Now().UnixMilli()
}

func (d *drain) isSpent(x *drained) bool {
	most := d.settings[x.at.queue].MaxDeliveries
	return most > 0 && x.deliveries >= uint32(most)
}

// isDropped reports whether a record is gone for good without having been delivered.
func (d *drain) isDropped(x *drained) bool {
	set := d.settings[x.at.queue]
	return set.ExpireTo == "" && d.hasEnded(x) || set.DeadLetter == "" && d.isSpent(x)
}

func (d *drain) isOver() bool {
	for _, x := range d.moved {
		if !x.over && !d.isDropped(x) {
			return false
		}
	}
	return true
}

// takeFrom takes all that waits in a queue, and compares it with what has to.
func (d *drain) takeFrom(name string) error {
	q, now := d.queue(name), time.Now().UnixMilli()
	var want []*drained
	var delayed int64      // which are to come
	maybe := d.lacks(name) // which may count though nobody gets them
	for _, x := range d.list[name] {
		switch {
		case x.over:
		case d.hasEnded(x), d.isSpent(x):
			maybe++
		case x.meta.Due() > now:
			delayed++
		default:
			want = append(want, x)
		}
	}
	parked := q.Stats() // or not
	if err := q.Load(); err != nil {
		return err
	}
	stats := q.Stats()
	if stats.Failed != "" {
		return fmt.Errorf("it failed: %s", stats.Failed)
	}
	n, size, torn := int64(0), int64(0), false
	for {
		it, ok, err := q.Fetch()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		id, err := readID(q, it)
		if d.mayLackBody(place{name, it.Seq}, it, err) {
			q.Drop(it)
			torn = true
			continue
		}
		if err != nil {
			return err
		}
		n, size = n+1, size+it.Size
		at := place{name, it.Seq}
		if x := d.moved[at]; x == nil {
			err = d.arrives(q, it, id)
		} else if len(want) == 0 || want[0] != x {
			err = fmt.Errorf("item %s comes, number %d, out of its turn or time", id, it.Seq)
		} else {
			x.over, want = true, want[1:]
		}
		if err != nil {
			return err
		}
		if err := q.Confirm(it); err != nil {
			return err
		}
	}
	if len(want) > 0 {
		return fmt.Errorf("item %s, number %d, does not come", want[0].id, want[0].at.seq)
	}
	if torn || !q.isHome() { // what is lost was counted; what has moved meanwhile was not
		return nil
	}
	// What has expired counts where it was until the sweeper comes by.
	most := n + delayed + maybe + d.lacks(name)
	if stats.Items < n || stats.Items > n+maybe || stats.Delayed < delayed ||
		stats.Items+stats.Delayed > most || maybe == 0 && stats.Bytes != size && !d.power {
		return fmt.Errorf("its figures are %d items of %d bytes and %d delayed, there are %d of %d "+
			"and %d (and %d that expired)", stats.Items, stats.Bytes, stats.Delayed, n, size, delayed, maybe)
	}
	if all := parked.Items + parked.Delayed; all < n+delayed || all > n+delayed+maybe {
		return fmt.Errorf("its figures were %d items and %d delayed before it was loaded, there are "+
			"%d and %d (and %d that expired)", parked.Items, parked.Delayed, n, delayed, maybe)
	}
	return nil
}

// lacks is how many large items of a queue have lost their bodies.
func (w *crashWorld) lacks(queue string) (n int64) {
	for at := range w.torn {
		if at.queue == queue {
			n++
		}
	}
	return n
}

// isHome reports whether nothing is moved to a queue.
func (q *Queue) isHome() bool { return slices.Contains(homes, q.Name()) }

// arrives is for an item that was moved after the crash.
func (d *drain) arrives(q *Queue, it Item, id string) error {
	if slices.Contains(homes, q.Name()) {
		return fmt.Errorf("item %s, number %d, was not there after the crash", id, it.Seq)
	}
	o, err := q.Origin(it)
	if err != nil {
		return err
	}
	x := d.moved[place{o.Log, o.Seq}]
	switch {
	case x == nil || x.id != id:
		return fmt.Errorf("item %s says that it was number %d of queue %s", id, o.Seq, o.Log)
	case x.over:
		return fmt.Errorf("item %s comes again", id)
	case !d.hasEnded(x) && !d.isSpent(x):
		return fmt.Errorf("item %s was moved too early", id)
	}
	x.over = true
	return nil
}

// checkEmpty wants nothing to be left.
func (d *drain) checkEmpty() error {
	time.Sleep(15 * time.Second) // what was dropped is gone by then
	for _, name := range queueNames {
		s := d.queue(name).Stats()
		if d.lacks(name) == 0 && (s.Items != 0 || s.Bytes != 0 || s.Delayed != 0 || s.Open != 0) {
			return fmt.Errorf("queue %s is empty and has %d items of %d bytes, %d delayed and %d open",
				name, s.Items, s.Bytes, s.Delayed, s.Open)
		}
	}
	return nil
}
