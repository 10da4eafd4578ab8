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
			in.rest()
		}
		n := rng.IntN(len(in.pending()) + 1)
		if !bytes.Equal(in.pending()[:n], data[consumed:consumed+n]) {
			t.Fatalf("%d bytes at %d are not what came in", n, consumed)
		}
		in.consume(n)
		consumed += n
	}
	if !bytes.Equal(in.pending(), data[consumed:]) {
		t.Error("the rest is not what came in")
	}
}

func TestInputHasRoomForWhatIsNeeded(t *testing.T) {
	var pools pools
	in := newInput(&pools)
	fill(&in, 1, []byte("0123456789"))
	in.consume(3)
	for _, need := range []int{1, 8, 600, 5000, 66000, 200000} {
		if room := len(in.pending()) + len(in.space(need)); room < need {
			t.Errorf("room for %d bytes of %d", room, need)
		}
		if string(in.pending()) != "3456789" {
			t.Fatalf("pending is %q", in.pending())
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
		t.Errorf("a stream is read %d bytes at a time", got)
	}
	if in.rest(); cap(in.buf.b) != classes[largest] {
		t.Error("a client that fills its buffer loses it")
	}
	fill(&in, 1, []byte("half a request"))
	if in.rest(); string(in.pending()) != "half a request" {
		t.Fatalf("pending is %q", in.pending())
	}
	in.consume(len(in.pending()))
	if in.rest(); cap(in.buf.b) != classes[smallest] {
		t.Errorf("idle, it keeps %d bytes for nothing", cap(in.buf.b))
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
		t.Errorf("it took %d bytes that nobody needed", got)
	}
}

func TestBuffersAreReused(t *testing.T) {
	var pools pools
	if n := testing.AllocsPerRun(100, func() {
		for _, size := range []int{1, 512, 513, 70000} {
			pools.put(pools.get(size))
		}
	}); n > 4 { // without pools it were eight; pools may forget, under the race detector they do
		t.Errorf("%v allocations for four buffers", n)
	}
	if huge := pools.get(1 << 20); cap(huge.b) != 1<<20 {
		t.Errorf("asked for 1 MiB, got %d bytes", cap(huge.b))
	}
}
