package bench

// The items that a load sets, and how those that come back are recognised.

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
)

// Limits on the different items made of one payload, in number and in bytes altogether.
const (
	maxItems      = 1 << 16
	maxItemsBytes = 256 << 20
)

// items holds what a load sets, in turn. All items have one size.
type items struct {
	size  int
	all   [][]byte
	seed  maphash.Seed
	known map[uint64]bool // hashes of the items
}

// newItems cuts a payload into items of size bytes. An item that reaches the end of the payload
// continues at its beginning. Of a longer payload, the first maxItems items are used.
func newItems(payload []byte, size int) *items {
	it := &items{size: size, seed: maphash.MakeSeed(), known: map[uint64]bool{}}
	n := 1
	if size > 0 {
		n = min(max((len(payload)+size-1)/size, 1), maxItems, max(maxItemsBytes/size, 1))
	}
	for i := range n {
		b := make([]byte, 0, size)
		for at := i * size; len(b) < size; {
			at %= len(payload)
			piece := payload[at:min(at+size-len(b), len(payload))]
			b, at = append(b, piece...), at+len(piece)
		}
		it.all = append(it.all, b)
		it.known[maphash.Bytes(it.seed, b)] = true
	}
	return it
}

// random returns n incompressible bytes, which are the same in every run.
func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// payload reads the file. Without one it returns random bytes for items of size bytes.
func payload(file string, size int) ([]byte, error) {
	if file == "" {
		return random(max(size, 64<<10)), nil
	}
	b, err := os.ReadFile(file)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("%s is empty: there is no item in it", file)
	}
	return b, err
}
