package queue

// Open reads that end when they have been open for too long: those that a client holds, in a queue
// with an open-timeout.

// heldReads are the reads that clients hold, in the order in which they were opened.
type heldReads struct {
	byPlace     map[uint32]*heldRead // by the places of their tickets
	first, last *heldRead
}

type heldRead struct {
	it         Item
	since      int64 // steady ms
	prev, next *heldRead
}

func (h *heldReads) add(it Item, now int64) {
	r := &heldRead{it: it, since: now, prev: h.last}
	if h.last != nil {
		h.last.next = r
	} else {
		h.first = r
	}
	h.last = r
	if h.byPlace == nil {
		h.byPlace = make(map[uint32]*heldRead)
	}
	h.byPlace[it.ticket.place] = r
}

func (h *heldReads) remove(t ticket) {
	r := h.byPlace[t.place]
	if r == nil || r.it.ticket != t {
		return
	}
	delete(h.byPlace, t.place)
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		h.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		h.last = r.prev
	}
}

// lateSlice is how many late reads end in one hold of the lock.
const lateSlice = 64

// timeLocked has a read end when it is open for too long.
func (q *Queue) timeLocked(it Item) {
	if it.cursor == q.cursor && q.opens.has(it.ticket, it.Seq) {
		q.agendaLocked().held.add(it, q.store.reg.steady())
		q.setAlarmLocked()
	}
}

// endLateReadsLocked puts items back that are open for too long, a slice of them.
func (q *Queue) endLateReadsLocked() {
	timeout := q.store.settings().OpenTimeout.Milliseconds()
	if timeout <= 0 {
		return
	}
	now := q.store.reg.steady()
	for range lateSlice {
		r := q.agenda.held.first
		if r == nil || r.since+timeout > now {
			return
		}
		_ = q.returnLocked(r.it) // it is open
		q.lossesLocked().timedOut++
	}
}
