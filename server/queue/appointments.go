package queue

// The appointments of a queue: items and their times, the earliest first. They are a heap whose
// memory grows and shrinks by chunks, so that a million cost what they take, and leave nothing for
// the collector when there are more of them. The first chunk grows as a slice does: many queues
// have a few.

// appointment is an item and its time.
type appointment struct {
	at   int64 // steady ms
	seq  uint64
	size int64 // of the payload
}

func (a appointment) before(b appointment) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// heapChunk is how many appointments a chunk has.
const heapChunk = 1 << heapShift

const heapShift = 11

// appointments is a binary heap. The zero value is empty.
type appointments struct {
	chunks [][]appointment // of heapChunk each, but for the first
	n      int
}

func (h *appointments) at(i int) *appointment { return &h.chunks[i>>heapShift][i&(heapChunk-1)] }

// min is the first one; there is one.
func (h *appointments) min() appointment { return *h.at(0) }

func (h *appointments) push(x appointment) {
	i := h.n
	switch c := i >> heapShift; {
	case c == len(h.chunks) && c > 0:
		h.chunks = append(h.chunks, make([]appointment, heapChunk))
	case c == len(h.chunks):
		h.chunks = append(h.chunks, make([]appointment, 1))
	case i == len(h.chunks[0]) && c == 0:
		h.chunks[0] = append(h.chunks[0], x)
	}
	h.n++
	for i > 0 {
		up := (i - 1) / 2
		if !x.before(*h.at(up)) {
			break
		}
		*h.at(i) = *h.at(up)
		i = up
	}
	*h.at(i) = x
}

// pop removes the first one; there is one.
func (h *appointments) pop() appointment {
	first := h.min()
	h.n--
	last := *h.at(h.n)
	i := 0
	for {
		down := 2*i + 1
		if down >= h.n {
			break
		}
		if down+1 < h.n && (*h.at(down + 1)).before(*h.at(down)) {
			down++
		}
		if !(*h.at(down)).before(last) {
			break
		}
		*h.at(i) = *h.at(down)
		i = down
	}
	*h.at(i) = last
	if spare := len(h.chunks) - 1; h.n <= (spare-1)*heapChunk { // one more than it needs may stay
		h.chunks[spare] = nil
		h.chunks = h.chunks[:spare]
	}
	return first
}

// memory is how many bytes of memory they take.
func (h *appointments) memory() (bytes int64) {
	const size = 24
	for _, c := range h.chunks {
		bytes += int64(cap(c)) * size
	}
	return bytes
}
