package fsck

// Offset files: what the consumers have taken.

import (
	"errors"

	"github.com/darner/darner/wal/inspect"
)

func (e *examination) readOffsets() {
	for _, f := range e.in.Files(inspect.OffsetFile) {
		e.readOffsetFile(f)
	}
	for _, f := range e.in.Files(inspect.RewriteFile) {
		e.t.note(f.Name, Rewrite,
			"an offset file that was being written anew; the server unites it with the other")
		c := e.readOffsetFile(f)
		c.rewrite = true
	}
	for _, c := range e.consumers {
		if c.state != nil {
			e.durableKnown, c.blank = true, false
			e.durable = max(e.durable, c.state.Durable)
		}
	}
}

// readOffsetFile adds a file to its consumer. It unites two files of one consumer, as the server
// does.
func (e *examination) readOffsetFile(f inspect.FileInfo) *consumer {
	c := e.consumer(f.Consumer())
	c.files = append(c.files, f)
	v, err := e.in.ReadOffsets(f)
	e.progress.add(f.Size)
	switch {
	case errors.Is(err, inspect.ErrBlankOffsets):
		e.t.note(f.Name, OffsetsLost,
			"is blank, as when it was made just before a crash: nothing was taken, or it comes "+
				"again")
		c.rewrite, c.blank = true, true
	case errors.Is(err, inspect.ErrNoOffsets) && f.Kind == inspect.RewriteFile:
		c.rewrite = true // it is incomplete: the file that it was to replace has everything
	case errors.Is(err, inspect.ErrNoOffsets):
		c.rewrite, c.keep, c.unverified = true, true, true
	case errors.Is(err, inspect.ErrVersion):
		e.otherFormat(f.Name, err)
	case err != nil:
		e.trouble(f.Name, err)
	case e.in.Foreign(v.Log):
		e.t.damage(f.Name, OtherLog, otherLog+
			"; all items still on the disk come again, taken or not")
		c.rewrite, c.keep = true, true
	default:
		if v.Salvaged && v.Lost && f.Kind == inspect.OffsetFile {
			e.t.damage(f.Name, OffsetsLost,
				"neither copy of the head verifies, but entries do: items taken since the last "+
					"sync may come again")
		}
		if f.Kind == inspect.OffsetFile { // a rewrite may be incomplete
			e.offsetDamage(c, f, v)
		}
		if c.state == nil {
			c.state = &v.Offsets
		} else {
			c.state.Unite(&v.Offsets)
		}
	}
	return c
}

// offsetDamage reports the damage in an offset file.
func (e *examination) offsetDamage(c *consumer, f inspect.FileInfo, v *inspect.OffsetsView) {
	for _, d := range v.Damage {
		found := Finding{File: f.Name, From: d.From, To: d.To, Severity: Damage, Kind: OffsetEntry}
		switch {
		case d.Flipped:
			e.flippedBit(f.Name, d.From)
			c.rewrite = true
			continue
		case d.Unfinished:
			found.Severity, found.What = Note, "a kill interrupted what was being written here"
		case d.Stray:
			found.Kind, found.What = Stray, strayBytes
		case d.Short:
			found.Kind = OffsetSlot
			found.What = "the file ends early: it was cut, and items that were taken may come again"
		case d.Gone:
			found.What = "entries are gone that were synced: items that were taken may come again"
		case d.Slot && v.Salvaged:
			continue
		case d.Slot:
			found.Kind = OffsetSlot
			found.What = "one of two copies of the head does not verify: a few items that were " +
				"taken last may come again"
		default:
			found.What = "no entry verifies here: a few items that were taken may come again"
		}
		c.rewrite = c.rewrite || !d.Unfinished
		c.keep = c.keep || !d.Unfinished
		e.t.add(found)
	}
	c.rewrite = c.rewrite || v.Salvaged
	c.keep = c.keep || v.Salvaged
}

// flippedBit is the finding of one.
var flippedBit = Finding{Severity: Damage, Kind: FlippedBit,
	What: "a flipped bit, which costs nothing: the checksum tells which, and it can be mended"}

// flippedBit reports a byte with a flipped bit.
func (e *examination) flippedBit(file string, at int64) {
	found := flippedBit
	found.File, found.From, found.To = file, at, at+1
	e.t.add(found)
}

// consumer returns the consumer of a name, and adds it if necessary.
func (e *examination) consumer(name string) *consumer {
	for _, c := range e.consumers {
		if c.name == name {
			return c
		}
	}
	c := &consumer{name: name}
	e.consumers = append(e.consumers, c)
	return c
}
