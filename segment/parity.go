package segment

// Parity: for every 16 data blocks a few more, from which as many lost ones can be computed. All
// blocks count as equally long, with zeros at their ends. The code works on each column of bytes by
// itself. So a block is rebuilt piece by piece, and different columns of pieces may have lost
// pieces of different blocks.
//
// Byte i of parity block p is the sum, in GF(2^8) with the polynomial 0x11d, of byte i of each data
// block d times the inverse of (16 + p) xor d.

import (
	"github.com/klauspost/reedsolomon"
)

func newCode(parity int) (reedsolomon.Encoder, error) {
	return reedsolomon.New(groupData, parity, reedsolomon.WithCauchyMatrix(),
		reedsolomon.WithMaxGoroutines(1), reedsolomon.WithInversionCache(false))
}

// parities computes the parity of a group. It does not keep the data.
type parities struct {
	code   reedsolomon.Encoder // nil for no parity
	shards [][]byte            // each as long as the longest block so far
}

func newParities(parity int) (parities, error) {
	p := parities{shards: make([][]byte, parity)}
	var err error
	if parity > 0 {
		p.code, err = newCode(parity)
	}
	return p, err
}

// reset begins a new group.
func (p *parities) reset() {
	for i := range p.shards {
		p.shards[i] = p.shards[i][:0]
	}
}

// add takes a data block into account. number is the block's place in its group.
func (p *parities) add(number int, stored []byte) error {
	if p.code == nil {
		return nil
	}
	part := make([][]byte, len(p.shards))
	for i, s := range p.shards {
		if n := len(stored) - len(s); n > 0 {
			p.shards[i] = append(s, make([]byte, n)...)
		}
		part[i] = p.shards[i][:len(stored)]
	}
	return p.code.EncodeIdx(stored, number, part)
}
