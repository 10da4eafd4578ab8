package segment

// Rebuilding a block of a cold file from the others of its group, one column of pieces at a time.

import (
	"github.com/darner/darner/segment/checksum"
	"github.com/klauspost/reedsolomon"
)

// mostFlipped is how many pieces of one block are searched for flipped bits. Damage of more pieces
// is no matter of some bits.
const mostFlipped = 16

// rebuild is the work on one damaged block.
type rebuild struct {
	f                 *coldFile
	from, parity, end int // entries of the group: data from..parity, parity up to end
	code              reedsolomon.Encoder
	peers             [groupData + maxParity]peer // the group's blocks, by entry less from

	// flips: pieces that the others do not tell are mended if one or two flipped bits in each
	// explain them. It is for when all else has failed: of pieces that are damaged otherwise, one
	// in 2^35 would be mended wrong.
	flips bool
}

// peer is what is known of a block of the group.
type peer struct {
	sums  [2][]byte // both copies of the checksums of its pieces
	asked bool      // whether it is sound as a whole
	whole []byte    // then these are its bytes
}

// rebuild fills b, the damaged stored bytes of a block. It is [ErrDamaged] if that is beyond the
// parity.
func (f *coldFile) rebuild(number int, b []byte) (err error) {
	if f.h.parity == 0 {
		return ErrDamaged
	}
	r := rebuild{f: f}
	r.from, r.parity, r.end = f.h.group(f.h.groupOf(number))
	if r.code, err = newCode(int(f.h.parity)); err != nil {
		return err
	}
	r.peers[number-r.from].asked = true
	if ok, err := r.fill(number, b); ok || err != nil {
		return err
	}
	r.flips = true
	return r.together(number, b)
}

// together rebuilds damaged blocks of the group, one with the help of the other, until the one that
// is wanted can be rebuilt or no other can.
func (r *rebuild) together(number int, b []byte) error {
	for progress := true; progress; {
		if ok, err := r.fill(number, b); ok || err != nil {
			return err
		}
		progress = false
		for n := r.from; n < r.end; n++ {
			peer, e := &r.peers[n-r.from], &r.f.entries[n]
			if n == number || !peer.asked || peer.whole != nil {
				continue // not needed, or known
			}
			other, err := r.f.read(e)
			if err == ErrDamaged {
				continue
			}
			if err != nil {
				return err
			}
			ok, err := r.fill(n, other)
			if err != nil {
				return err
			}
			if ok {
				peer.whole, progress = other, true
			}
		}
	}
	return ErrDamaged
}

// fill fills b with a damaged block, piece by piece. It is false if that is beyond the parity.
func (r *rebuild) fill(number int, b []byte) (bool, error) {
	e := &r.f.entries[number]
	var left []int // columns that the others do not tell
	for c := range e.columns() {
		from, to := e.piece(c)
		ok, err := r.piece(number, c, b[from:to])
		if err == nil && !ok {
			ok, err = r.column(number, c, b[from:to])
		}
		if err != nil {
			return false, err
		}
		if !ok {
			left = append(left, c)
		}
	}
	return r.unflip(number, b, left), nil
}

// column computes a piece of a damaged block from the others. It is false, and the piece is as it
// was, if too many of these are damaged.
func (r *rebuild) column(number, column int, piece []byte) (bool, error) {
	shards := make([][]byte, groupData+int(r.f.h.parity))
	for i := range groupData { // blocks that the last group does not have count as zeros
		shards[i] = make([]byte, pieceSize)
	}
	target, lost := 0, 0
	for n := r.from; n < r.end && lost <= int(r.f.h.parity); n++ {
		i := n - r.from
		if n >= r.parity {
			i = groupData + n - r.parity
		}
		shards[i] = nil
		lost++
		if n == number {
			target = i
			continue
		}
		p := make([]byte, pieceSize)
		if ok, err := r.piece(n, column, p); err != nil {
			return false, err
		} else if ok {
			shards[i] = p
			lost--
		}
	}
	if lost > int(r.f.h.parity) {
		return false, nil
	}
	if err := r.code.Reconstruct(shards); err != nil {
		return false, err
	}
	copy(piece, shards[target])
	return true, nil
}

// piece reads a piece of a block into p, with zeros after its end, and reports whether it is sound.
func (r *rebuild) piece(number, column int, p []byte) (bool, error) {
	e, peer := &r.f.entries[number], &r.peers[number-r.from]
	switch {
	case e.lost:
		return false, nil
	case column >= e.columns():
		clear(p)
		return true, nil
	}
	from, to := e.piece(column)
	p = p[:to-from]
	if peer.whole == nil {
		whole, err := r.f.fetch(p, int64(e.place)+int64(from))
		if err != nil {
			return false, err
		}
		ok, err := r.verify(number, column, p)
		if ok && whole || err != nil {
			return ok, err
		}
		if err := r.ask(number); err != nil {
			return false, err
		}
	}
	if peer.whole == nil {
		return false, nil
	}
	copy(p, peer.whole[from:to])
	return true, nil
}

// verify reports whether a piece has the checksum that one of the two copies says.
func (r *rebuild) verify(number, column int, p []byte) (bool, error) {
	e, sums := &r.f.entries[number], &r.peers[number-r.from].sums
	for i, at := range e.pieces {
		if sums[i] == nil {
			sums[i] = make([]byte, e.sumsLen())
			if err := r.f.fetchPages(sums[i], int64(at)); err != nil {
				return false, err
			}
		}
	}
	sum := checksum.Update32(e.pieceSeed(r.f.h.Salt, column), p)
	return sum == le.Uint32(sums[0][4*column:]) || sum == le.Uint32(sums[1][4*column:]), nil
}

// ask finds out whether a block with a damaged piece is sound as a whole, because only the pieces'
// checksums are damaged, or but for one flipped bit.
func (r *rebuild) ask(number int) error {
	e, peer := &r.f.entries[number], &r.peers[number-r.from]
	if peer.asked {
		return nil
	}
	peer.asked = true
	b, err := r.f.read(e)
	if err == ErrDamaged {
		return nil
	}
	if err == nil && (e.sound(r.f.h.Salt, b) || e.unflip(r.f.h.Salt, b)) {
		peer.whole = b
	}
	return err
}

// unflip mends the pieces of b that are left, if one or two flipped bits in each explain that b is
// not the block's bytes.
func (r *rebuild) unflip(number int, b []byte, left []int) bool {
	e := &r.f.entries[number]
	if len(left) == 0 {
		return e.sound(r.f.h.Salt, b)
	}
	if !r.flips || len(left) > mostFlipped {
		return false
	}
	from, to := e.piece(left[0])
	p := b[from:to]
	sums := &r.peers[number-r.from].sums
	one, other := le.Uint32(sums[0][4*left[0]:]), le.Uint32(sums[1][4*left[0]:])
	for i, sum := range [...]uint32{one, other} {
		if i > 0 && sum == one {
			break
		}
		for pair := range checksum.Flips32(e.pieceSeed(r.f.h.Salt, left[0]), sum, p) {
			flipPair(p, pair)
			if r.unflip(number, b, left[1:]) {
				return true
			}
			flipPair(p, pair)
		}
	}
	return false
}

// flipPair flips one or two bits.
func flipPair(b []byte, pair [2]int) {
	checksum.Flip(b, pair[0])
	if pair[1] != pair[0] {
		checksum.Flip(b, pair[1])
	}
}
