package offset

// Lost returns how many slots and entries were there once and did not verify when the file was
// opened.
func (o *File) Lost() int { return o.lost }

// Flipped returns how many places had a flipped bit when the file was opened. They were read as
// they had been written.
func (o *File) Flipped() int { return len(o.flips) }

// Mend makes every place verify that should, also places that a power cut left empty: it writes the
// head into them. The next sync counts these entries as synced.
func (o *File) Mend(st *State) {
	for _, f := range o.flips {
		o.put(f.at, []byte{f.was})
	}
	o.flips = nil
	if !o.torn {
		return
	}
	head := Entry{checkpoint, Span{From: st.Durable, To: st.Head, Bytes: st.Below}}
	for at := entriesAt; at < o.end; at += entrySize {
		if e, is, _ := o.entry(at); is == broken || e.kind == none {
			o.putEntry(at, head)
		}
	}
	o.synced, o.lost, o.torn, o.salvaged = 0, 0, false, false
	o.SetHead(st.Head, st.Below)
	o.SetHead(st.Head, st.Below) // again, for the other slot
}

// Unite adds to the file, and to its state st, what only another file says.
func (o *File) Unite(st, other *State) {
	st.Unite(other, func(e Entry) {
		for !o.Add(e) && o.Grow() == nil {
		}
	})
	o.SetHead(st.Head, st.Below)
}
