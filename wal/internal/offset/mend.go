package offset

// Lost returns how many slots and entries were there once and did not verify when the file was
// opened.
func (o *File) Lost() int { return o.lost }

// Mend makes every place verify that should, also places that a power cut left empty: it writes the
// head into them. The next sync counts these entries as synced.
func (o *File) Mend(st *State) {
	if !o.torn {
		return
	}
	for at := entriesAt; at < o.end; at += entrySize {
		if _, _, ok := o.entry(at); !ok {
			o.putEntry(at, entryHead, Span{From: st.Durable, To: st.Head, Bytes: st.Below})
		}
	}
	o.synced, o.lost, o.torn, o.salvaged = 0, 0, false, false
	o.SetHead(st.Head, st.Below)
	o.SetHead(st.Head, st.Below) // again, for the other slot
}

// Unite adds to the file, and to its state st, what only another file says.
func (o *File) Unite(st, other *State) {
	st.Unite(other, func(x Span) {
		for !o.AddRange(x) && o.Grow() == nil {
		}
	})
	o.SetHead(st.Head, st.Below)
}
