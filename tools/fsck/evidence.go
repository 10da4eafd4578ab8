package fsck

// What the offset files prove: how much of the log was synced. What a power cut may have taken is behind
// that, and what is missing before it is damage.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment"
)

const (
	otherLog     = "belongs to another queue, or to one that was here before; the server sets it aside"
	unsyncedWhat = ", not yet synced, as a power cut leaves it"
)

// severity is that of damage to items from a number on, in or before a segment: nothing but a note where they
// were never synced.
func (e *examination) severity(s *segmentFile, from uint64) Severity {
	if e.unsynced(from) && !s.sealed && !s.cold.is && !s.file.Cold {
		return Note
	}
	return Damage
}

// unsynced reports that a power cut may have taken an item. Without an offset file that tells, none is known
// to have been synced before a segment was completed.
func (e *examination) unsynced(seq uint64) bool {
	return seq >= e.durable && (e.told || !e.sealedBehind(0))
}

// short notes that the log ends before what was synced: it was cut. A repair has it end where it does.
func (e *examination) short() {
	if e.durable <= e.end {
		return
	}
	f := Finding{Severity: Damage, Kind: Missing}
	if s := e.lastSegment(); s != nil {
		f.File = s.file.Name
	}
	n, first, last := e.lose(e.end, e.durable-1)
	switch {
	case n > 0:
		f.Items, f.What = n, fmt.Sprintf("%s (%s) lost, synced before: the log's end was damaged, cut, removed or put back from an older copy", items(n), numbers(first, last))
	case f.File == "": // all was taken, and the last segment is given back on a full disk
		return
	default:
		f.What = fmt.Sprintf("ends with item %d though items up to %d were synced, all taken since: it was damaged, cut or put back from an older copy, or the next one was removed", e.end-1, e.durable-1)
	}
	e.t.add(f)
	for _, c := range e.consumers {
		c.stale = true
		c.state.Durable = e.end
	}
	e.cut = true
}

// planEvidence has the offset files say no more of a last segment that is to be copied than the copy has: what the
// old one's footer says of numbers above that goes with it.
func (e *examination) planEvidence() {
	s := e.lastSegment()
	if s == nil || s.fix != copyOver || e.durable <= max(s.first, s.end) {
		return
	}
	for _, c := range e.consumers {
		c.stale = true
		c.state.Durable = max(s.first, s.end)
	}
}

func (e *examination) lastSegment() (last *segmentFile) {
	for _, s := range e.segments {
		if s.first > 0 && s.counts() && !errors.Is(s.err, segment.ErrBlank) {
			last = s
		}
	}
	return last
}
