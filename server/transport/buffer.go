package transport

// Buffers are borrowed while bytes are in transit, so that ten thousand silent connections need few
// of them, or none at all.

import "sync"

// classes are the sizes of pooled buffers in bytes. A connection starts with the first; the last
// holds the largest record and its request line.
var classes = [...]int{512, 4 << 10, 16 << 10, 72 << 10}

const (
	smallest = 0
	largest  = len(classes) - 1
)

// buffer travels between pools and connections as one allocation.
type buffer struct {
	b []byte
}

// pools has a pool for each class.
type pools [len(classes)]sync.Pool

// get returns an empty buffer with room for n bytes.
func (p *pools) get(n int) *buffer {
	for class, size := range classes {
		if n > size {
			continue
		}
		if b, ok := p[class].Get().(*buffer); ok {
			return b
		}
		return &buffer{b: make([]byte, 0, size)}
	}
	return &buffer{b: make([]byte, 0, n)}
}

// put takes a buffer back. The collector gets one that has grown beyond all classes.
func (p *pools) put(b *buffer) {
	if cap(b.b) > 4*classes[largest] {
		return
	}
	for class := largest; class >= smallest; class-- {
		if cap(b.b) >= classes[class] {
			b.b = b.b[:0]
			p[class].Put(b)
			return
		}
	}
}

// input is what a client sent and the session has not consumed yet.
type input struct {
	pools *pools
	buf   *buffer // nil: none, and nothing pending
	start int     // consumed so far
	full  bool    // the last read left no room: more is likely to follow
}

func newInput(p *pools) input {
	return input{pools: p, buf: p.get(classes[smallest])}
}

func (in *input) pending() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf.b[in.start:]
}

// consume drops the first n pending bytes.
func (in *input) consume(n int) {
	if n == 0 {
		return
	}
	in.start += n
	if in.start == len(in.buf.b) {
		in.start, in.buf.b = 0, in.buf.b[:0]
	}
}

// space returns where to read to. There is room for at least need pending bytes, and for more when
// the client fills what it is given. It is empty when the buffer has its largest size and is full.
func (in *input) space(need int) []byte {
	size := cap(in.buf.b)
	if in.full && size < classes[largest] {
		size = min(4*size, classes[largest])
	}
	if size = max(size, need); size > cap(in.buf.b) {
		in.move(size)
	} else if in.start > 0 {
		in.buf.b = in.buf.b[:copy(in.buf.b, in.pending())]
		in.start = 0
	}
	return in.buf.b[len(in.buf.b):cap(in.buf.b)]
}

// filled notes that n bytes were read into the space.
func (in *input) filled(n int) {
	in.buf.b = in.buf.b[:len(in.buf.b)+n]
	in.full = len(in.buf.b) == cap(in.buf.b)
}

// shrink exchanges a large empty buffer for a small one, until more input comes. A client that
// fills its buffer is likely to go on, and keeps it.
func (in *input) shrink() {
	if len(in.pending()) == 0 && cap(in.buf.b) > classes[smallest+1] && !in.full {
		in.move(0)
	}
}

// move moves what is pending to another buffer, with room for n bytes.
func (in *input) move(n int) {
	to := in.pools.get(n)
	to.b = append(to.b[:0], in.pending()...)
	in.pools.put(in.buf)
	in.buf, in.start, in.full = to, 0, false
}

// release gives the buffer back for good.
func (in *input) release() {
	in.pools.put(in.buf)
	in.buf = nil
}
