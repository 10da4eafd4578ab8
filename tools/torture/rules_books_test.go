package torture

// What clients know of each item of TestQueuesKeepTheirRules, and what follows from that.

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"
)

// slack is how late the server may notice the time: it looks once for each wait of its loop.
const slack = 500 * time.Millisecond

// tick is how exact the server's times are.
const tick = 2 * time.Millisecond

// place is where an item is: in the queue that it was put into, or in the one that it moved to.
type place int

const (
	home place = iota
	target
)

// ruledItem is what is known of an item. Books.mu guards it.
type ruledItem struct {
	n, producer     int
	queue           string
	size            int
	lifetime, delay time.Duration // that were asked for; 0: none
	sent, stored    time.Time
	refused         bool

	holder     [2]*roamer
	delivered  bool      // before: its order does not count any more
	returns    int       // how often it went back, at most
	returned   time.Time // when it last went back, if that is certain
	confirms   [2]int    // that were answered
	doubtful   int       // that were asked for
	kills      int       // since it was stored
	duplicates int
}

func (i *ruledItem) kind() rule { return kindOf(i.queue) }

// body is the item's payload: which one it is, filler and a checksum.
func (i *ruledItem) body() []byte {
	text := fmt.Sprintf("%d %s %s", i.n, i.queue, strings.Repeat("x", i.size))
	return fmt.Appendf(nil, "%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
}

// earliestEnd is when the item expires, at the earliest; latestEnd at the latest. Zero is never.
func (i *ruledItem) earliestEnd() (at time.Time) {
	if i.lifetime > 0 {
		at = i.sent.Add(i.lifetime)
	}
	if k := i.kind(); k == age || k == move {
		if byAge := i.sent.Add(leastAge); at.IsZero() || byAge.Before(at) {
			at = byAge
		}
	}
	return at
}

func (i *ruledItem) latestEnd() (at time.Time) {
	if i.lifetime > 0 {
		at = i.stored.Add(i.lifetime)
	}
	if k := i.kind(); k == age || k == move {
		if byAge := i.stored.Add(mostAge); at.IsZero() || byAge.Before(at) {
			at = byAge
		}
	}
	return at
}

// visible is when the item may be delivered, at the earliest.
func (i *ruledItem) visible() time.Time {
	switch {
	case i.delay > 0:
		return i.sent.Add(i.delay)
	case i.kind() == late:
		return i.sent.Add(leastDelay)
	}
	return i.sent
}

// books is all that clients know.
type books struct {
	t  *testing.T
	mu sync.Mutex

	items    []*ruledItem
	draining bool // no settings are in force

	// In this life, by queue: confirmations that were answered, and in doubt.
	certain, perhaps map[string]int
}

func newBooks(t *testing.T) *books {
	b := &books{t: t}
	b.begin()
	return b
}

// begin is the begin of a life of the server.
func (b *books) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.certain, b.perhaps = make(map[string]int), make(map[string]int)
}

// killed is the end of a life by a kill: what was open is waiting again.
func (b *books) killed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.items {
		i.kills++
		i.returned = time.Time{}
		for p, h := range i.holder {
			if h != nil {
				i.holder[p], i.delivered = nil, true
			}
		}
	}
}

// takenFrom is how many items were confirmed in this life, at least and at most.
func (b *books) takenFrom(queue string) (least, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.certain[queue], b.certain[queue] + b.perhaps[queue]
}

// add is a new item, which is about to be sent.
func (b *books) add(i *ruledItem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i.n, i.sent = len(b.items), time.Now()
	b.items = append(b.items, i)
}

func (b *books) answered(i *ruledItem, stored bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i.stored, i.refused = time.Now(), !stored
}

// parse returns the item of a payload, and where it is if it is in a queue.
func (b *books) parse(queue string, payload []byte) (i *ruledItem, p place, err error) {
	var n int
	if _, err := fmt.Sscan(string(payload[:min(len(payload), 20)]), &n); err != nil {
		return nil, p, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n >= len(b.items) {
		return nil, p, errors.New("it was never sent")
	}
	i = b.items[n]
	switch {
	case string(i.body()) != string(payload):
		return i, p, errors.New("wrong bytes")
	case i.queue == queue:
		return i, home, nil
	case queue == string(old) && i.kind() == move, queue == string(dead) && i.kind() == retry:
		return i, target, nil
	}
	return i, p, errors.New("it was put into another queue")
}

// seenLocked checks an item that was delivered or shown. asked is when the request was sent.
func (b *books) seenLocked(i *ruledItem, p place, asked time.Time) error {
	now := time.Now()
	end := i.latestEnd()
	switch {
	case i.refused:
		return errors.New("it was refused")
	case p == home && now.Add(tick).Before(i.visible()):
		return fmt.Errorf("it is visible %v too early", i.visible().Sub(now))
	case p == target && i.kind() == move && now.Add(tick).Before(i.earliestEnd()):
		return errors.New("it moved and has not expired")
	case p == target && i.kind() == retry && i.returns < leastDeliveries:
		return fmt.Errorf("it moved after %d deliveries", i.returns)
	case p == home && !end.IsZero() && !i.stored.IsZero() && !b.draining &&
		end.Add(slack).Before(asked):
		return fmt.Errorf("it expired %v before it was asked for", asked.Sub(end))
	}
	return nil
}

// delivered checks an item that a client got, and notes who has it.
func (b *books) delivered(
	r *roamer, queue string, payload []byte, asked time.Time,
) (*ruledItem, place, error) {
	i, p, err := b.parse(queue, payload)
	if err != nil {
		return i, p, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.seenLocked(i, p, asked); err != nil {
		return i, p, err
	}
	gone := i.confirms[home] + i.confirms[target]
	switch {
	case i.confirms[p] > 0 && p == home:
		return i, p, errors.New("it was confirmed before")
	case gone > i.kills:
		return i, p, fmt.Errorf("it was confirmed %d times before, after %d kills", gone, i.kills)
	case i.holder[p] != nil && i.kind() != retry &&
		(p == home || i.kills == 0): // else there may be two of it
		return i, p, errors.New("another client has it")
	case !i.returned.IsZero() && p == home && i.kind() == retry && !b.draining &&
		time.Since(i.returned)+tick < leastRetry:
		return i, p, fmt.Errorf("it came back %v after its return", time.Since(i.returned))
	}
	if gone > 0 {
		i.duplicates++
	}
	if p == home && i.kind() != retry && i.delay == 0 && i.kind() != late {
		by := [2]any{queue, i.producer}
		if last := r.last[by]; !i.delivered && last > i.n {
			return i, p, fmt.Errorf("it was never delivered, and comes after number %d", last)
		}
		r.last[by] = max(r.last[by], i.n)
	}
	i.holder[p], i.delivered, i.returned = r, true, time.Time{}
	return i, p, nil
}

// release notes that a client is about to give an item up.
func (b *books) release(h holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.i.holder[h.p] == h.by {
		h.i.holder[h.p] = nil
	}
}

// back notes that an item went back, or is about to. at is when, if that is certain.
func (b *books) back(h holding, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.i.returned = at
}

// tally counts what became of items.
type tally struct {
	Items, Stored, Refused, Taken, Expired, Moved, Discarded, Dead, Dropped, Duplicates int
}

func (all *tally) add(one tally) {
	all.Items += one.Items
	all.Stored += one.Stored
	all.Refused += one.Refused
	all.Taken += one.Taken
	all.Expired += one.Expired
	all.Moved += one.Moved
	all.Discarded += one.Discarded
	all.Dead += one.Dead
	all.Dropped += one.Dropped
	all.Duplicates += one.Duplicates
}

// judge fails for each item that was stored and is lost. All queues are empty.
func (b *books) judge() (all tally) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, i := range b.items {
		all.Items++
		all.Duplicates += i.duplicates
		if i.refused {
			all.Refused++
			continue
		}
		if i.stored.IsZero() {
			continue
		}
		all.Stored++
		end := i.earliestEnd()
		switch k := i.kind(); {
		case i.confirms[target] > 0 && k == move:
			all.Moved++
		case i.confirms[target] > 0:
			all.Dead++
		case i.confirms[home] > 0 || i.doubtful > 0:
			all.Taken++
		case k != move && !end.IsZero() && end.Before(now):
			all.Expired++
		case k == discard:
			all.Discarded++
		case k == drop && i.returns >= leastDeliveries:
			all.Dropped++
		default:
			b.t.Errorf("an item is lost: %+v", *i)
		}
	}
	return all
}
