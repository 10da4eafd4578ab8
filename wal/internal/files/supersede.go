package files

// Supersedes reports whether f is a cold segment that was written from other, according to their
// names. Then f has all that other had, and the server deletes other when it opens the log.
func (f Info) Supersedes(other Info) bool {
	if f.Number == other.Number {
		return f.Cold && (!other.Cold || f.Through > other.Through)
	}
	return f.Cold && f.Number < other.Number && other.Number <= f.Through
}

// WithoutSuperseded returns segments, which are in order, without those that a cold one replaces.
// If replaces is false for a cold segment, that one is left out instead. A nil replaces counts as
// always true.
func WithoutSuperseded(
	segments []Info, replaces func(cold, old Info) (bool, error),
) (kept []Info, err error) {
	for _, f := range segments {
		n := len(kept)
		if n == 0 || !kept[n-1].Supersedes(f) && !f.Supersedes(kept[n-1]) {
			kept = append(kept, f)
			continue
		}
		cold, old := f, kept[n-1]
		if old.Supersedes(f) {
			cold, old = old, f
		}
		sound := true
		if replaces != nil {
			if sound, err = replaces(cold, old); err != nil {
				return nil, err
			}
		}
		if kept[n-1] = cold; !sound {
			kept[n-1] = old
		}
	}
	return kept, nil
}
