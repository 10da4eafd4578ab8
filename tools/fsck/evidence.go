package fsck

// Evidence from the offset files: how much of the log was synced. Items after that may have been
// lost in a power cut. What is missing before it is damage.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment"
)

const (
	otherLog = "belongs to another queue, or to one that was here before; " +
		"the server sets it aside"
	unsyncedWhat = ", not yet synced, as a power cut leaves it"
)

// severity returns the severity of damage to items from number from on, in or before a segment. It
// is only a Note where they were never synced.
func (e *examination) severity(s *segmentFile, from uint64) Severity {
	if e.unsynced(from) && !s.sealed && !s.cold.isCold && !s.file.Cold {
		return Note
	}
	return Damage
}

// lossSeverity is severity for the loss of items from number from on: only those count that
// somebody has yet to take.
func (e *examination) lossSeverity(s *segmentFile, from uint64) Severity {
	return e.severity(s, max(from, e.takenBelow()))
}

// unsynced reports whether a power cut may have taken an item. If no offset file says what was
// synced, nothing counts as synced before the first segment is sealed.
func (e *examination) unsynced(seq uint64) bool {
	return seq >= e.durable && (e.durableKnown || !e.sealedFrom(0))
}

// checkEnd reports a log that ends before the last synced item. After a repair, that is its end.
func (e *examination) checkEnd() {
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
		f.Items = n
		f.What = fmt.Sprintf("%s (%s) lost, synced before: the log's end was damaged, cut, "+
			"removed or put back from an older copy", items(n), numbers(first, last))
	default: // all was taken since, so the last segment may be deleted, or its file used again
		return
	}
	e.t.add(f)
	for _, c := range e.consumers {
		c.rewrite = true
		c.state.Durable = e.end
	}
	e.endsEarly = true
}

// planEvidence prepares offset files for a last segment that will be copied: they must not claim
// items after the end of the copy. Only the footer of the old one proves those.
func (e *examination) planEvidence() {
	s := e.lastSegment()
	if s == nil || s.fix != copyOver || e.durable <= max(s.first, s.end) {
		return
	}
	for _, c := range e.consumers {
		c.rewrite = true
		c.state.Durable = max(s.first, s.end)
	}
}

// lastSegment returns the last segment of the queue that holds items, or nil.
func (e *examination) lastSegment() (last *segmentFile) {
	for _, s := range e.segments {
		if s.first > 0 && s.inQueue() && !errors.Is(s.err, segment.ErrBlank) {
			last = s
		}
	}
	return last
}
