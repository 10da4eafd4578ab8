package offset

// Lost is how many slots and entries were there once and did not verify when the file was opened.
func (o *File) Lost() int { return o.lost }

// Mend makes every place verify that should, also where a power cut left none: entries say what the head
// is. The next sync counts them among those that are kept.
func (o *File) Mend(st *State) {
	if !o.torn {
		return
	}
	for at := entriesAt; at < o.end; at += entrySize {
		if _, _, ok := o.entry(at); !ok {
			o.putEntry(at, entryHead, Span{From: st.Durable, To: st.Head, Bytes: st.Below})
		}
	}
	o.kept, o.lost, o.torn, o.salvaged = 0, 0, false, false
	o.SetHead(st.Head, st.Below)
	o.SetHead(st.Head, st.Below) // into the other slot
}

// Unite adds to a file, of which st is the state, what only another one says.
func (o *File) Unite(st, other *State) {
	st.Unite(other, func(x Span) {
		for !o.Note(x) && o.Grow() == nil {
		}
	})
	o.SetHead(st.Head, st.Below)
}
