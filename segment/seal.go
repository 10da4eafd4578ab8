package segment

// Sealing: the one change from a file that grows to a file that never changes.

import (
	"fmt"
	"runtime/debug"
)

// Seal writes index and footer after the last record, trims the file to its length, and returns
// when all of it is on stable storage. It does not disturb readers. After an error the segment is
// unsealed and usable. On a full disk ([disk.IsFull]) Seal can be tried again. Only a failed sync
// is final, as in Sync.
//
// A footer that is found after a power cut will be believed. So it is written only when everything
// before it is on stable storage.
func (s *Segment) Seal() (err error) {
	s.extent.Lock()
	defer s.extent.Unlock()
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	if s.state.Load() != stateActive {
		return s.wrap("seal", ErrReadOnly)
	}
	end := s.tail.Load()
	t, x := s.totals, index(nil)
	if x, err = s.indexed(end); err != nil { // something is damaged
		v := judge(s.mem[:end], s.header)
		s.fix(v.fixes)
		v.Totals.Last = t.Last // a number is never used again, even if its record is damaged
		t, x, err = v.Totals, v.index, nil
	}
	if x == nil {
		x = index(indexMagic)
	}
	at := end + uint32(len(x))
	total := int64(at) + FooterSize
	if err := s.allocateLocked(int64(end), total); err != nil {
		return err
	}
	if err := s.writeSealLocked(x, t, end, total); err != nil {
		// If this fails, readers still recognize what is left there.
		_ = s.wipeMapped(int64(end), total)
		return fmt.Errorf("not sealed: %w", err)
	}
	s.index.Store(&x)
	s.state.Store(stateSealed)
	return nil
}

func (s *Segment) writeSealLocked(x index, t Totals, end uint32, total int64) error {
	if err := s.put(end, x); err != nil {
		return err
	}
	if err := s.Sync(); err != nil {
		return err
	}
	if err := s.truncateLocked(total); err != nil {
		return err
	}
	at := end + uint32(len(x))
	f := footer{
		Header: s.header, Totals: t, End: end,
		entries: uint32(x.len()), indexSum: x.sum(s.key.salt, end),
	}
	b := f.encode(at)
	if err := s.put(at, b[:]); err != nil {
		return err
	}
	return s.Sync()
}

// indexed makes the index from the heads of records and bodies alone: what was appended was made
// here, or verified when the segment was opened. It is [ErrDamaged] if that is not what there was.
func (s *Segment) indexed(end uint32) (x index, err error) {
	var items, bytes uint64
	off := uint32(HeaderSize)
	for off < end {
		c := s.mem[off:end]
		f, ok := frame{}, len(c) >= recordHead
		if ok {
			f, ok = s.key.frame(c, int64(len(c)))
		}
		if !ok {
			return nil, s.wrapAt(off, ErrDamaged)
		}
		if f.kind != kindBody {
			x = x.note(off, s.key.first+uint64(le.Uint32(c[12:])), items)
			items++
			bytes += f.payload(c)
		}
		off += uint32(f.size)
	}
	if off != end || items != s.totals.Items || bytes != s.totals.Bytes {
		return nil, s.wrapAt(off, ErrDamaged)
	}
	return x, nil
}

// payload returns the length of the payload of a record, whose bytes are c.
func (f *frame) payload(c []byte) uint64 {
	if f.kind == kindApart {
		return uint64(le.Uint32(c[f.covered-apartSize+4:]))
	}
	at := recordHead
	if f.flags&flagDue != 0 {
		at += dueSize
	}
	if f.flags&flagNote != 0 {
		at += noteHead + int(le.Uint16(c[at:]))
	}
	return uint64(f.covered - at)
}
