package fsck

// What the consumers have taken, from their files.

import (
	"errors"

	"github.com/darner/darner/wal/inspect"
)

func (e *examination) readOffsets() {
	for _, f := range e.in.Files(inspect.OffsetFile) {
		e.readOffsetFile(f)
	}
	for _, f := range e.in.Files(inspect.RewriteFile) {
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Rewrite, What: "an offset file that was being written anew; the server unites it with the other"})
		c := e.readOffsetFile(f)
		c.stale = true
	}
	for _, c := range e.consumers {
		if c.state != nil {
			e.told, c.blank = true, false
			e.durable = max(e.durable, c.state.Durable)
		}
	}
}

// readOffsetFile adds what a file says to its consumer. Two files of one consumer are united, as the
// server does.
func (e *examination) readOffsetFile(f inspect.FileInfo) *consumer {
	c := e.consumer(f.Consumer())
	c.files = append(c.files, f)
	v, err := e.in.ReadOffsets(f)
	e.progress.add(f.Size)
	switch {
	case errors.Is(err, inspect.ErrBlankOffsets):
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: OffsetsLost, What: "is blank, as when it was made just before a crash: nothing was taken, or it comes again"})
		c.stale, c.blank = true, true
	case errors.Is(err, inspect.ErrNoOffsets) && f.Kind == inspect.RewriteFile:
		c.stale = true // it is not written whole: the file it was to replace has all of it
	case errors.Is(err, inspect.ErrNoOffsets):
		c.stale, c.shown, c.nothing = true, true, true
	case errors.Is(err, inspect.ErrVersion):
		e.newer(f.Name)
	case err != nil:
		e.trouble(f.Name, err)
	case e.in.Foreign(v.Log):
		e.t.add(Finding{File: f.Name, Severity: Damage, Kind: OtherLog, What: otherLog + "; all items still on the disk come again, taken or not"})
		c.stale, c.shown = true, true
	default:
		if v.Salvaged && v.Lost && f.Kind == inspect.OffsetFile {
			e.t.add(Finding{File: f.Name, Severity: Damage, Kind: OffsetsLost, What: "neither copy of the head verifies, but entries do: items taken since the last sync may come again"})
		}
		if f.Kind == inspect.OffsetFile { // a rewrite may have got to the disk in part
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

func (e *examination) offsetDamage(c *consumer, f inspect.FileInfo, v *inspect.OffsetsView) {
	for _, d := range v.Damage {
		found := Finding{File: f.Name, From: d.From, To: d.To, Severity: Damage, Kind: OffsetEntry}
		switch {
		case d.Unfinished:
			found.Severity, found.What = Note, "a kill interrupted what was being written here"
		case d.Stray:
			found.Kind, found.What = Stray, strayBytes
		case d.Short:
			found.Kind, found.What = OffsetSlot, "the file ends early: it was cut, and items that were taken may come again"
		case d.Gone:
			found.What = "entries are gone that were synced: items that were taken may come again"
		case d.Slot && v.Salvaged:
			continue
		case d.Slot:
			found.Kind, found.What = OffsetSlot, "one of two copies of the head does not verify: a few items that were taken last may come again"
		default:
			found.What = "no entry verifies here: a few items that were taken may come again"
		}
		c.stale = c.stale || !d.Unfinished
		c.shown = c.shown || !d.Unfinished
		e.t.add(found)
	}
	c.stale = c.stale || v.Salvaged
	c.shown = c.shown || v.Salvaged
}

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
