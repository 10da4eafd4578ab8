package fsck

// The bodies of large items, compared with their records. Both are in the order of their numbers,
// so each is looked at once.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// body looks for the body of a large item, and reports whether the item can be read. It does not
// read a body that no consumer wants.
func (e *examination) body(s *segmentFile, r *segment.Record, wanted bool) bool {
	size, upload, ok := inspect.LargeItem(r)
	f, there := e.takeBody(r.Seq)
	if !there {
		f, there = e.unnamedBody(s, r.Seq, upload)
	}
	switch {
	case !there && !wanted:
		return false
	case !there:
		e.t.add(Finding{File: inspect.BodyName(r.Seq), Severity: e.severity(s, r.Seq),
			Kind:  BodyMissing,
			Items: 1, What: fmt.Sprintf("is missing: 1 item (%d, %d bytes) lost", r.Seq, size)})
		e.loseLarge(r.Seq, size)
		return false
	case !wanted:
		e.takenBody(f)
		return false
	case !ok || !e.bodyReads(s, f, r.Seq, size, upload):
		e.large.Size += f.Size
		e.large.Damaged += f.Size
		e.loseLarge(r.Seq, size)
		return false
	}
	e.large.Size += f.Size
	e.large.Live += f.Size
	return true
}

// takeBody returns the file with an item's body. It reports the bodies before it, which have no
// record.
func (e *examination) takeBody(seq uint64) (f inspect.FileInfo, ok bool) {
	for len(e.bodies) > 0 && e.bodies[0].Number <= seq {
		f, e.bodies = e.bodies[0], e.bodies[1:]
		if f.Number == seq {
			return f, true
		}
		e.orphan(f)
	}
	return f, false
}

// unnamedBody finds a body that is still under its upload's name.
func (e *examination) unnamedBody(
	s *segmentFile, seq, upload uint64,
) (f inspect.FileInfo, ok bool) {
	parts := e.in.Files(inspect.PartFile)
	i, ok := slices.BinarySearchFunc(parts, upload, func(f inspect.FileInfo, n uint64) int {
		return cmp.Compare(f.Number, n)
	})
	if !ok || e.claimed[upload] != 0 {
		return f, false
	}
	f = parts[i]
	if s.sealed {
		e.t.damage(f.Name, BodyUnnamed, "is the body of item %d under its upload's name, where "+
			"the server would not look for it", seq)
	} else {
		e.t.note(f.Name, BodyUnnamed,
			"is the body of item %d and was about to be renamed; the server does that", seq)
	}
	e.claimed[upload] = seq
	return f, true
}

// bodyReads reads a body, and reports whether all of it verifies.
func (e *examination) bodyReads(
	s *segmentFile, f inspect.FileInfo, seq uint64, size int64, upload uint64,
) bool {
	v, err := e.in.CheckBody(f, e.progress.add)
	found := Finding{File: f.Name, Severity: e.severity(s, seq), Kind: Body, Items: 1}
	lost := fmt.Sprintf("1 item (%d, %d bytes) lost", seq, size)
	switch {
	case errors.Is(err, inspect.ErrDamaged):
		found.From, found.To, found.What = 0, f.Size, "the header does not verify: "+lost
	case errors.Is(err, inspect.ErrVersion):
		e.otherFormat(f.Name, err)
		return true // not known to be damaged
	case err != nil:
		e.trouble(f.Name, err)
		return true
	case v.Size != size:
		found.What = fmt.Sprintf("has %d bytes where its record says %d: %s", v.Size, size, lost)
	case v.Upload != upload:
		found.What = "is the body of another upload than its record says: " + lost
	case len(v.Damage) == 0:
		e.bodyFlips(f, v)
		return true
	default:
		e.bodyDamage(found.Severity, f, v.Damage, lost)
		return false
	}
	e.t.add(found)
	e.aside = append(e.aside, f)
	return false
}

// bodyFlips reports the flipped bits of a body that is sound otherwise.
func (e *examination) bodyFlips(f inspect.FileInfo, v inspect.BodyView) {
	for _, flip := range v.Flips {
		e.flippedBit(f.Name, flip.At)
	}
	if len(v.Flips) > 0 {
		e.flipped = append(e.flipped, flippedBody{f, v.Flips})
	}
}

// bodyDamage reports the damaged ranges of a body.
func (e *examination) bodyDamage(
	severity Severity, f inspect.FileInfo, damage []inspect.BodyDamage, lost string,
) {
	for i, d := range damage {
		found := Finding{File: f.Name, From: d.From, To: d.To, Severity: severity, Kind: Body,
			What: "does not verify"}
		if d.Fault != nil {
			e.noRepair = true
			found.Severity, found.Kind = Trouble, Unreadable
			found.What = "the disk cannot read these bytes: " + reason(d.Fault)
		}
		if i == 0 {
			found.Items = 1
			found.What += ": " + lost
		}
		e.t.add(found)
	}
	e.aside = append(e.aside, f)
}

// loseLarge counts a large item as lost.
func (e *examination) loseLarge(seq uint64, size int64) {
	e.lost.Take(seq, seq, uint64(size))
	e.row.Lost++
	e.row.Gaps++
}

// takenBody reports a body whose item was taken.
func (e *examination) takenBody(f inspect.FileInfo) {
	e.t.note(f.Name, BodyTaken, "the body of an item that was taken; the server removes it")
	e.large.Size += f.Size
	e.large.Dead += f.Size
	e.progress.add(f.Size)
}

// unsynced is more items than are set between two syncs, which is what a power cut can take.
const unsynced = 1 << 20

// orphan reports a body without a record.
func (e *examination) orphan(f inspect.FileInfo) {
	if !e.wanted(f.Number) {
		e.takenBody(f)
		return
	}
	e.progress.add(f.Size)
	e.large.Size += f.Size
	e.large.Damaged += f.Size
	e.aside = append(e.aside, f)
	switch {
	case e.in.ForeignBody(f):
		e.t.damage(f.Name, OtherLog, otherLog)
		return
	case f.Number >= e.end && (e.anySegment() || e.unsynced(f.Number)) && f.Number-e.end < unsynced:
		e.t.note(f.Name, BodyOrphan,
			"the body of an item whose record did not survive a power cut; the server sets it "+
				"aside")
		return
	case f.Number >= e.end:
		e.row.Lost++
		e.row.Gaps++
		e.t.add(Finding{File: f.Name, Severity: Damage, Kind: BodyOrphan, Items: 1,
			What: fmt.Sprintf("the body of item %d, whose record is lost, and not by a power cut "+
				"alone: 1 item lost; the server sets it aside", f.Number)})
		return
	}
	severity := Damage
	if e.unsynced(f.Number) {
		severity = Note
	}
	e.t.add(Finding{File: f.Name, Severity: severity, Kind: BodyOrphan,
		What: fmt.Sprintf("the body of item %d, which has no record", f.Number)})
}

// restOfBodies reports the bodies after the last large item.
func (e *examination) restOfBodies() {
	for _, f := range e.bodies {
		e.orphan(f)
	}
	e.bodies = nil
}
