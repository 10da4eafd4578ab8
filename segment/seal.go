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
	v := judge(s.mem[:end], s.header)
	s.fix(v.fixes)
	v.Totals.Last = s.totals.Last // a number is never used again, even if its record is damaged
	x := v.index
	if x == nil {
		x = index(indexMagic)
	}
	at := end + uint32(len(x))
	total := int64(at) + FooterSize
	if err := s.allocateLocked(int64(end), total); err != nil {
		return err
	}
	if err := s.writeSealLocked(x, v.Totals, end, total); err != nil {
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
