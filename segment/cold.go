package segment

// Reading a segment in its cold form. Its records are in compressed blocks. They are addressed by
// the offsets they would have in a segment that holds them uncompressed: virtual offsets.
//
// Two decoded blocks are kept: usually the one that is being read and the next one. A block is
// never changed or reused, so a payload stays valid as long as somebody holds it.

import (
	"errors"
	"io"
	"sort"
	"sync"
	"sync/atomic"
)

// Codec is how the blocks of a cold file are compressed.
type Codec uint8

// The codecs. A block that compression does not make smaller is stored as it is.
const (
	CodecNone Codec = iota
	CodecS2
	CodecZstd
)

// ColdOptions says how a cold file is written.
type ColdOptions struct {
	Codec  Codec
	Level  int // of zstd, 1 to 19 as on its command line; 0 means 1
	Parity int // parity blocks for every 16 data blocks, 0 to 4
}

// DefaultCold compresses well for the time it takes. It survives the loss of one block in 16.
func DefaultCold() ColdOptions { return ColdOptions{Codec: CodecZstd, Level: 1, Parity: 1} }

// cold is the part of an open segment that only cold segments have.
type cold struct {
	coldFile
	rebuilt atomic.Uint64
	recent  atomic.Pointer[slot] // the block read last, found without the lock

	mu    sync.Mutex
	slots [2]*slot
}

// slot is a decoded block, or one that is being decoded.
type slot struct {
	number int // the data block's
	once   sync.Once
	block  *coldBlock
	err    error
}

// Cold reports whether the segment is in its cold form. Such a segment is always sealed.
func (s *Segment) Cold() bool { return s.cold != nil }

// Prefetch decodes the block after the one that off is in, so that a reader who comes to it finds
// it ready. It does nothing for a segment that is not cold, or at the last block. It is
// [ErrDamaged] if that block is lost.
func (s *Segment) Prefetch(off uint32) error {
	if s.cold == nil {
		return nil
	}
	i := s.cold.search(off) + 1
	if i >= s.cold.blocks() {
		return nil
	}
	if _, err := s.cold.load(i); err != nil {
		return s.wrapAt(s.cold.block(i).from, err)
	}
	return nil
}

// BlockEnd returns the end of the block that off is in, or the tail of a segment that is not cold.
func (s *Segment) BlockEnd(off uint32) uint32 {
	if s.cold != nil {
		if i := s.cold.search(off); i < s.cold.blocks() {
			return s.cold.block(i).to
		}
	}
	return s.Tail()
}

// FileRange returns which bytes of the file hold the records in from..to. In a cold file these are
// whole blocks; in any other they are from and to themselves. [Segment.Bytes] returns a copy of
// them.
func (s *Segment) FileRange(from, to uint32) (uint32, uint32) {
	if s.cold == nil {
		return from, to
	}
	return s.cold.extent(from, to)
}

// Rebuilt returns how often, since the segment was opened, reading met damage that cost nothing: a
// flipped bit, a block that was rebuilt from its parity, or a damaged copy of the header or the
// directory. [Scrub] mends such damage in the file, and tells the flipped bits from the rest.
func (s *Segment) Rebuilt() uint64 {
	if s.cold == nil {
		return s.flips.Load()
	}
	return s.cold.rebuilt.Load()
}

// openCold makes this a cold segment. damaged is the number of damaged copies of its header.
func (s *Segment) openCold(c *cold, damaged int) ([]Damage, error) {
	n, err := c.readDirectory()
	if err != nil {
		return nil, s.wrap("open", err)
	}
	c.rebuilt.Store(uint64(damaged + n))
	s.cold = c
	s.begin(c.h.Header, c.h.end, c.h.totals, nil)
	s.state.Store(stateSealed)
	var lost []Damage
	for i := range c.blocks() {
		if e := c.block(i); e.lost && e.to > e.from {
			lost = append(lost, Damage{From: e.from, To: e.to})
		}
	}
	return lost, nil
}

// search returns the data block that off is in or would be in. It is the number of blocks if off is
// after the last one.
func (c *cold) search(off uint32) int {
	return sort.Search(c.blocks(), func(i int) bool { return c.block(i).to > off })
}

// load returns a decoded block. If several goroutines want it at once, one of them decodes it.
func (c *cold) load(i int) (*slot, error) {
	s := c.slot(i)
	s.once.Do(func() {
		var mended bool
		if s.block, mended, s.err = c.content(i); mended {
			c.rebuilt.Add(1)
		}
	})
	if s.err != nil {
		c.forget(s)
	}
	return s, s.err
}

// slot returns the slot of a block. If the block has none, it gets a new one in place of the slot
// that is not in use.
func (c *cold) slot(i int) *slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := 0
	for k, s := range c.slots {
		if s != nil && s.number == i {
			return s
		}
		if s == nil || c.slots[free] != nil && s != c.recent.Load() {
			free = k
		}
	}
	c.slots[free] = &slot{number: i}
	return c.slots[free]
}

// forget makes sure that reading a block is tried again after it failed.
func (c *cold) forget(s *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.slots {
		if c.slots[k] == s {
			c.slots[k] = nil
		}
	}
}

// read returns a block that a reader has come to.
func (c *cold) read(i int) (*coldBlock, error) {
	s, err := c.load(i)
	if err != nil {
		return nil, err
	}
	c.recent.Store(s)
	return s.block, nil
}

// around returns the block that off is in.
func (c *cold) around(off uint32) (*coldBlock, error) {
	if s := c.recent.Load(); s != nil && s.block.from <= off && off < s.block.to {
		return s.block, nil
	}
	i := c.search(off)
	if i == c.blocks() {
		return nil, ErrDamaged
	}
	return c.read(i)
}

// coldAt is [Segment.At]. It fills r.
func (s *Segment) coldAt(off uint32, r *Record) (next uint32, err error) {
	if off == s.cold.h.end {
		return off, io.EOF
	}
	b, err := s.cold.around(off)
	if err != nil {
		return 0, s.wrapAt(off, err)
	}
	i := b.at(off)
	if i == len(b.records) || b.records[i].off != off {
		return 0, s.wrapAt(off, ErrDamaged)
	}
	return b.record(i, r), nil
}

// resync is [Segment.Resync].
func (c *cold) resync(from uint32) (off uint32, err error) {
	return c.scan(c.search(from), func(b *coldBlock) int { return b.at(from) })
}

// find is [Segment.Find].
func (c *cold) find(seq uint64) (off uint32, err error) {
	i := sort.Search(c.blocks(), func(i int) bool { return c.block(i).first > seq })
	return c.scan(max(i-1, 0), func(b *coldBlock) int { return b.find(seq) })
}

// scan returns the first record that pick chooses, starting with the i-th block. pick returns the
// index of a record in a block, or the number of its records for none. scan steps over lost blocks.
// It is io.EOF if there is no such record.
func (c *cold) scan(i int, pick func(*coldBlock) int) (off uint32, err error) {
	for ; i < c.blocks(); i++ {
		b, err := c.read(i)
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if k := pick(b); k < len(b.records) {
			return b.records[k].off, nil
		}
	}
	return 0, io.EOF
}

// extent returns the range of the file that holds the blocks of the virtual offsets from..to.
func (c *cold) extent(from, to uint32) (start, end uint32) {
	for i := c.search(from); i < c.blocks() && c.block(i).from < to; i++ {
		e := c.block(i)
		if e.lost {
			continue
		}
		if end == 0 {
			start = e.place
		}
		end = e.place + e.stored
	}
	return start, end
}

// bytes is [Segment.Bytes].
func (c *cold) bytes(from, to uint32) ([]byte, error) {
	from, to = c.extent(from, to)
	if size, err := c.file.Size(); err != nil {
		return nil, err
	} else if int64(to) > size {
		to = max(from, uint32(size))
	}
	b := make([]byte, to-from)
	return b, c.fetchPages(b, int64(from))
}

// judge is [Segment.Judge]. Lost blocks are the damage, in virtual offsets.
func (c *cold) judge() (Verdict, error) {
	v := Verdict{Tail: HeaderSize, Totals: Totals{Last: c.h.First - 1}}
	for i := range c.blocks() {
		b, _, err := c.content(i)
		if errors.Is(err, ErrDamaged) {
			e := c.block(i)
			if n := len(v.Damage); n > 0 && v.Damage[n-1].To == e.from {
				v.Damage[n-1].To = e.to
			} else if e.to > e.from {
				v.Damage = append(v.Damage, Damage{From: e.from, To: e.to})
			}
			continue
		}
		if err != nil {
			return v, err
		}
		var r Record
		for k := range b.records {
			v.Tail = b.record(k, &r)
			v.Totals.add(&r)
		}
	}
	return v, nil
}
