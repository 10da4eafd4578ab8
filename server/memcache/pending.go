package memcache

// Replies to plain GETs that are not sent yet, and the items in them.

import (
	"math"

	"github.com/darner/darner/server/queue"
)

const (
	pendingLimit = 512 // with this many no new request is read
	pendingKeep  = 64  // a larger ring is freed when it becomes empty
)

// unfinished is the end of a reply that is not complete yet.
const unfinished = math.MaxUint64

// pendingItem is gone for good when the connection's output has passed end.
type pendingItem struct {
	end  uint64 // offset in the output stream
	q    Queue
	item queue.Item
}

// pendingRing is a queue of pendingItems in the order of their replies. The zero value is empty.
type pendingRing struct {
	buf  []pendingItem // a power of two
	head int
	n    int
}

func (r *pendingRing) at(i int) *pendingItem { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *pendingRing) push(p pendingItem) {
	if r.n == len(r.buf) {
		r.grow()
	}
	r.n++
	*r.at(r.n - 1) = p
}

func (r *pendingRing) grow() {
	buf := make([]pendingItem, max(8, 2*len(r.buf)))
	for i := range r.n {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}

// full says that no request may begin until some replies are sent. It does not stop an unfinished
// one.
func (r *pendingRing) full() bool {
	return r.n >= pendingLimit && r.at(r.n-1).end != unfinished
}

// finish gives the newest items, those of the unfinished reply, its end.
func (r *pendingRing) finish(end uint64) {
	for i := r.n - 1; i >= 0 && r.at(i).end == unfinished; i-- {
		r.at(i).end = end
	}
}

// pop takes the oldest item whose reply ends at or before sent.
func (r *pendingRing) pop(sent uint64) (p pendingItem, ok bool) {
	if r.n == 0 || r.at(0).end > sent {
		return p, false
	}
	p, *r.at(0) = *r.at(0), pendingItem{}
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if r.n == 0 && len(r.buf) > pendingKeep {
		r.buf, r.head = nil, 0
	}
	return p, true
}

// popUnfinished takes the newest item, if its reply is unfinished.
func (r *pendingRing) popUnfinished() (p pendingItem, ok bool) {
	if r.n == 0 || r.at(r.n-1).end != unfinished {
		return p, false
	}
	r.n--
	p, *r.at(r.n) = *r.at(r.n), pendingItem{}
	return p, true
}
