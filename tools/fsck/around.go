package fsck

// Damage around the records of a segment: header, index, footer, tail.

import (
	"fmt"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/wal/inspect"
)

// aroundRecords reports damage around the records: in headers, index, footer and tail.
func (e *examination) aroundRecords(s *segmentFile, v *inspect.SegmentView, next uint64, u *use) {
	for _, x := range v.Stray {
		e.stray(s, x.From, x.To)
	}
	tail := false
	for _, d := range v.Found {
		f := Finding{File: s.file.Name, From: int64(d.From), To: int64(d.To),
			Severity: e.severity(s, s.first)}
		switch {
		case d.Tail:
			tail = true
			u.bytes(d.From, d.To, damaged)
			e.tail(s, d, next)
			continue
		case d.Meta && d.To <= segment.HeaderSize:
			f.Kind = HeaderCopy
			f.What = "a copy of the header is damaged; no item is lost, the other copy counts"
			switch {
			case v.Headless: // as a power cut leaves it
				f.Severity = Note
				f.Kind = HeaderLost
				f.What = "both copies of the header are damaged and there is no sound footer; no " +
					"item is lost, as the records hold what is needed, but opening the segment " +
					"takes long"
			case s.file.Kind == inspect.SpareFile: // likewise: no sync is known to have covered it
				f.Severity = Note
			case d.To-d.From == segment.HeaderSize:
				f.What = "both copies of the header are damaged; no item is lost, the footer has " +
					"a third copy"
			}
		case d.Meta:
			f.Kind = Index
			f.What = "the index is damaged; no item is lost, but finding one takes longer"
		default:
			continue // the walk reports it
		}
		s.fix = max(s.fix, copyOver)
		e.t.add(f)
	}
	if !v.Sealed() && !tail && next > 0 {
		e.notSealed(s, next)
	}
}

const strayBytes = "bytes that should be zero are not; no item is lost, as nobody reads them"

func (e *examination) stray(s *segmentFile, from, to uint32) {
	s.fix = max(s.fix, copyOver)
	e.t.add(Finding{File: s.file.Name, From: int64(from), To: int64(to), Severity: Damage,
		Kind: Stray,
		What: strayBytes})
}

// tail judges the bytes after the last record of a segment without a sound footer.
func (e *examination) tail(s *segmentFile, d segment.Damage, next uint64) {
	f := Finding{File: s.file.Name, From: int64(d.From), To: int64(d.To), Severity: Damage}
	severity := e.lossSeverity(s, e.end)
	switch {
	case d.Meta && int64(d.To) > s.file.Size-segment.FooterSize && !e.tornFooter(s, next):
		f.Kind = Footer
		f.What = "the footer is damaged; no item is lost, but opening the segment means reading " +
			"all of it"
		s.fix = copyOver
	case d.Meta:
		f.Severity, f.Kind, f.What = Note, Unsealed, "was being completed; the server does it again"
		s.fix = max(s.fix, copyOver)
	case d.Unfinished:
		f.Severity, f.Kind = Note, TornTail
		f.What = "an append that was interrupted before its item was stored; the server cuts it off"
		s.fix = max(s.fix, cutTail)
	default:
		f.Kind = DamagedTail
		f.What = "the bytes after the last record do not verify: items not yet synced at a power " +
			"cut, or damaged since"
		f.Severity = severity
		if next > 0 || e.end < e.takenBelow() { // items that are lost are reported below
			f.Severity = Note
		}
		s.fix = max(s.fix, cutTail)
	}
	if next > e.end {
		n, first, last := e.lose(e.end, next-1)
		if f.Items = n; n > 0 {
			f.What += fmt.Sprintf("; %s (%s) lost", items(n), numbers(first, last))
			f.Severity = severity
		}
		s.fix = copyOver
		e.end = next
	}
	e.t.add(f)
}

// segmentFlips reports the flipped bits of a segment that is not cold. Where items were not synced,
// a power cut may leave what looks like one: a sector is lost in which one bit was set.
func (e *examination) segmentFlips(s *segmentFile) {
	if s.cold.isCold {
		return
	}
	at, err := e.in.Flips(s.file, false)
	if err != nil {
		e.trouble(s.file.Name, err)
		return
	}
	found := flippedBit
	found.Severity = e.severity(s, max(s.first, s.end)-1)
	for _, at := range at {
		found.File, found.From, found.To = s.file.Name, at, at+1
		e.t.add(found)
	}
	s.flipped = len(at) > 0
}

// tornFooter reports whether a power cut may have left the footer like this: without any of it, or
// with one of the two sectors that it is in. Later segments are not sealed then.
func (e *examination) tornFooter(s *segmentFile, next uint64) bool {
	if s.header.Use > 0 { // it may be mixed with what the file held before
		return !e.sealedFrom(next)
	}
	const sector = 512
	f, err := e.o.FS.OpenRead(e.in.Path(s.file))
	if err != nil {
		return false
	}
	defer f.Close()
	var b [segment.FooterSize]byte
	from := s.file.Size - segment.FooterSize
	if _, err := f.ReadAt(b[:], from); err != nil {
		return false
	}
	cut := -from & (sector - 1)
	checksum := b[segment.FooterSize-8:]
	return !e.sealedFrom(next) &&
		(blank.Bytes(checksum) || cut < segment.FooterSize && blank.Bytes(b[:cut]))
}

// notSealed reports a segment without a footer that others follow. The server seals it, unless it
// has already sealed later ones: then the footer was lost. One whose header a power cut took was
// never sealed, since the server only reads it.
func (e *examination) notSealed(s *segmentFile, next uint64) {
	f := Finding{File: s.file.Name, Severity: Note, Kind: Unsealed,
		What: "is full and was about to be completed; the server does it"}
	switch {
	case s.headless:
		f.What = "was never completed, since its header was lost; opening it means reading all of it"
		s.fix = max(s.fix, copyOver)
	case e.sealedFrom(next):
		f.Severity, f.Kind = Damage, Footer
		f.What = "has no footer though later segments have: it was cut or overwritten"
		s.fix = max(s.fix, copyOver)
	}
	e.t.add(f)
}

// sealedFrom reports whether a sealed segment begins with item next or a later one.
func (e *examination) sealedFrom(next uint64) bool {
	for _, s := range e.segments {
		if s.first >= next && s.sealed {
			return true
		}
	}
	return false
}
