package transport

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// fill reads from data as a socket would and returns what is left.
func fill(in *input, need int, data []byte) []byte {
	n := copy(in.space(need), data)
	in.filled(n)
	return data[n:]
}

func TestInputKeepsWhatIsNotConsumed(t *testing.T) {
	var pools pools
	in := newInput(&pools)
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	rest, consumed := data, 0
	for len(rest) > 0 {
		limit := min(len(rest), 1+rng.IntN(40000))
		left := fill(&in, rng.IntN(80<<10), rest[:limit])
		rest = rest[limit-len(left):]
		if rng.IntN(8) == 0 {
			in.shrink()
		}
		n := rng.IntN(len(in.pending()) + 1)
		if !bytes.Equal(in.pending()[:n], data[consumed:consumed+n]) {
			t.Fatalf("got other bytes than came in, %d of them at %d", n, consumed)
		}
		in.consume(n)
		consumed += n
	}
	if !bytes.Equal(in.pending(), data[consumed:]) {
		t.Error("got other bytes than came in, at the end")
	}
}

func TestInputHasRoomForWhatIsNeeded(t *testing.T) {
	var pools pools
	in := newInput(&pools)
	fill(&in, 1, []byte("0123456789"))
	in.consume(3)
	for _, need := range []int{1, 8, 600, 5000, 66000, 200000} {
		if room := len(in.pending()) + len(in.space(need)); room < need {
			t.Errorf("got room for %d bytes, want %d", room, need)
		}
		if string(in.pending()) != "3456789" {
			t.Fatalf("got %q pending, want 3456789", in.pending())
		}
	}
}

func TestInputGrowsWithWhatComesAndShrinksWhenIdle(t *testing.T) {
	var pools pools
	in := newInput(&pools)
	for range 10 {
		fill(&in, 1, make([]byte, 1<<20))
		in.consume(len(in.pending()))
	}
	if got := cap(in.buf.b); got != classes[largest] {
		t.Errorf("got a buffer of %d bytes for a stream, want %d", got, classes[largest])
	}
	if in.shrink(); cap(in.buf.b) != classes[largest] {
		t.Error("got a smaller buffer for a client that fills its own, want it kept")
	}
	fill(&in, 1, []byte("half a request"))
	if in.shrink(); string(in.pending()) != "half a request" {
		t.Fatalf("got %q pending, want half a request", in.pending())
	}
	in.consume(len(in.pending()))
	if in.shrink(); cap(in.buf.b) != classes[smallest] {
		t.Errorf("got a buffer of %d bytes when idle, want %d", cap(in.buf.b), classes[smallest])
	}
}

func TestInputIsBounded(t *testing.T) {
	var pools pools
	in := newInput(&pools)
	stream := make([]byte, 1<<20)
	for n := len(stream) + 1; len(stream) < n; {
		n = len(stream)
		stream = fill(&in, 0, stream)
	}
	if got := len(in.pending()); got != classes[largest] {
		t.Errorf("got %d bytes pending that nobody needs, want %d", got, classes[largest])
	}
}

func TestBuffersAreReused(t *testing.T) {
	var pools pools
	if n := testing.AllocsPerRun(100, func() {
		for _, size := range []int{1, 512, 513, 70000} {
			pools.put(pools.get(size))
		}
	}); n > 4 { // eight without pools; pools may forget, and do so under the race detector
		t.Errorf("got %v allocations for four buffers, want 4 at most", n)
	}
	if huge := pools.get(1 << 20); cap(huge.b) != 1<<20 {
		t.Errorf("got a buffer of %d bytes, want 1 MiB", cap(huge.b))
	}
}
