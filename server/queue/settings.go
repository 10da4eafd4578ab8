package queue

// What may differ from queue to queue. It may change while the registry is open: see Reconfigure.

import (
	"time"

	"github.com/darner/darner/wal"
)

// Settings are what may differ from queue to queue. The zero value sets no bound. Queues share
// them, so they never change: Reconfigure gives a queue others.
type Settings struct {
	MaxDisk     int64     // bytes of disk that the queue may take, as du counts them; 0: no bound
	Discard     bool      // at a bound discard the oldest items, not refuse new ones
	SegmentSize int64     // 0: that of Options.Log
	Cold        *wal.Cold // nil: that of Options.Log

	// Bounds of the items that wait, are delayed or open, and of their payloads; 0: none.
	MaxItems, MaxBytes int64
	// MaxItemSize is the size of the largest payload; 0: no bound of the queue's own.
	MaxItemSize int64

	// MaxAge is how long an item may wait, unless it expires earlier; 0: for ever.
	MaxAge time.Duration
	// ExpireTo is the queue that expired items are moved to; empty: they are dropped.
	ExpireTo string
	// MaxExpireSweep is how many expired items the sweeper drops or moves in one round; 0: any
	// number.
	MaxExpireSweep int
	// MaxQueueAge is the age from which on an empty queue is deleted; 0: it stays.
	MaxQueueAge time.Duration

	// MaxOpenReads is how many items of the queue a connection may have open; 0: as the server
	// says.
	MaxOpenReads int
	// OpenTimeout is how long an item may be open before it goes back; 0: for ever.
	OpenTimeout time.Duration

	// MaxDeliveries is how often an item is delivered before it goes to DeadLetter or, if that is
	// empty, is dropped; 0: without end.
	MaxDeliveries int
	DeadLetter    string
	// RetryDelay is how long an item that went back waits before it is delivered again. It doubles
	// with each time, up to RetryDelayMax.
	RetryDelay, RetryDelayMax time.Duration

	// Delay is how long new items are not visible.
	Delay time.Duration
	// MaxDelayed is how many items may be delayed at a time; 0: DefaultMaxDelayed.
	MaxDelayed int
}

// Most queues have no rules, and most requests ask for no more than these.

// ruleNewItems reports whether there is anything to see to before an item is put.
func (s *Settings) ruleNewItems() bool { return int64(s.Delay)|s.MaxItems|s.MaxBytes != 0 }

// ruleOldItems reports whether an item may have to go that does not expire by itself.
func (s *Settings) ruleOldItems() bool { return int64(s.MaxAge)|int64(s.MaxDeliveries) != 0 }

// countDeliveries reports whether it counts how often an item comes back.
func (s *Settings) countDeliveries() bool { return int64(s.MaxDeliveries)|int64(s.RetryDelay) != 0 }

// DefaultMaxDelayed is how many items of a queue may be delayed at a time.
const DefaultMaxDelayed = 1_000_000

var noSettings = new(Settings)

// settingsOf are in force for a queue of that name.
func (r *Registry) settingsOf(name string) *Settings {
	if of := r.o.Settings; of != nil {
		return of(name)
	}
	return noSettings
}

// Reconfigure has other settings apply to all queues from now on. of is as Options.Settings. How
// large segments are changes for logs that are opened later. Nobody may call it twice at a time.
func (r *Registry) Reconfigure(of func(name string) *Settings) {
	r.mu.Lock()
	r.o.Settings = of // of stores to come
	r.mu.Unlock()
	for _, s := range r.known() { // with no lock held: there may be 100,000
		s.set.Store(of(s.name))
		s.settingsChanged()
	}
}

// settingsChanged has what is timed follow the settings.
func (s *store) settingsChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.settings()
	if ages := set.MaxAge > 0 || set.MaxQueueAge > 0; ages && s.log == nil && s.exists {
		s.own.due = dueNow
		s.reg.sweeper.noteParked(dueNow)
	}
	for q := range s.queuesLocked() {
		if s.loadedLocked() {
			q.dueLocked(dueNow)
		}
		if q.agenda != nil {
			q.agenda.rings = never
			q.setAlarmLocked()
		}
	}
}

// settings are in force for the store.
func (s *store) settings() *Settings { return s.set.Load() }

// segmentSize is the size of the store's segments.
func (s *store) segmentSize() int64 {
	if settings := s.settings(); settings.SegmentSize > 0 {
		return settings.SegmentSize
	}
	return s.reg.o.Log.SegmentSize
}

// logOptions are those of the store's log.
func (s *store) logOptions() wal.Options {
	o, dir := s.reg.o.Log, s.dir()
	o.FS = s.reg.usage
	o.SegmentSize = s.segmentSize()
	o.InlineMax = min(o.InlineMax, int(o.SegmentSize/4)) // 0 stays the default
	o.ColdNow = func() *wal.Cold { return s.settings().Cold }
	o.Admit = func(bytes int64) error { return s.reg.budget.admit(dir, s.settings(), bytes) }
	o.Lost = func(n uint64) { s.reg.episodes.Note(damagedItems, s.name, n, nil) }
	return o
}
