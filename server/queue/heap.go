package queue

// A heap whose memory grows and shrinks by chunks, so that a million entries cost what they take
// and leave nothing for the collector when there are more of them.

// heapChunk is how many entries a chunk has.
const heapChunk = 1 << heapShift

const heapShift = 11

// heap is a binary heap: min is the entry that comes before all others. The zero value is empty.
type heap[T interface{ before(T) bool }] struct {
	chunks []*[heapChunk]T
	n      int
}

func (h *heap[T]) at(i int) *T { return &h.chunks[i>>heapShift][i&(heapChunk-1)] }

// min is the first entry; the heap is not empty.
func (h *heap[T]) min() T { return *h.at(0) }

func (h *heap[T]) push(x T) {
	if h.n == len(h.chunks)*heapChunk {
		h.chunks = append(h.chunks, new([heapChunk]T))
	}
	i := h.n
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

// pop removes the first entry; the heap is not empty.
func (h *heap[T]) pop() T {
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
