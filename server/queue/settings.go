package queue

// What may differ from queue to queue.

import "github.com/darner/darner/wal"

// Settings are what may differ from queue to queue. The zero value sets no bound.
type Settings struct {
	MaxDisk     int64     // bytes of disk that the queue may take, as du counts them; 0: no bound
	Discard     bool      // at a bound discard the oldest items, not refuse new ones
	SegmentSize int64     // 0: that of Options.Log
	Cold        *wal.Cold // nil: that of Options.Log
}

// settings are in force for the store.
func (s *store) settings() Settings {
	if s.reg.o.Settings == nil {
		return Settings{}
	}
	return s.reg.o.Settings(s.name)
}

// segmentSize is the size of the store's segments.
func (s *store) segmentSize() int64 {
	if settings := s.settings(); settings.SegmentSize > 0 {
		return settings.SegmentSize
	}
	return s.reg.o.Log.SegmentSize
}

// logOptions are those of the store's log.
func (s *store) logOptions() wal.Options {
	o, settings, dir := s.reg.o.Log, s.settings(), s.dir()
	o.FS = s.reg.usage
	o.SegmentSize = s.segmentSize()
	o.InlineMax = min(o.InlineMax, int(o.SegmentSize/4)) // 0 stays the default
	if settings.Cold != nil {
		o.Cold = settings.Cold
	}
	o.Admit = func(bytes int64) error { return s.reg.budget.admit(dir, settings, bytes) }
	o.Lost = func(n uint64) { s.reg.episodes.Note(damagedItems, s.name, n, nil) }
	return o
}
