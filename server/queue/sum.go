package queue

// The figures of all queues together.

import "context"

// Sum is what the queues of a registry hold, and what became of their items since the start or
// ResetStats.
type Sum struct {
	Totals
	Items, Bytes         int64  // waiting
	TotalItems, Expired  uint64 // put; expired. Those of queues that were deleted count as well
	Discarded            uint64 // at bounds, for new ones; likewise
	Uncounted            int    // queues with unknown figures, which are not in those above
	DiskBytes, DiskLimit int64  // that all queues take, and may take; 0: no limit
}

// Sum adds up what is known of all queues, without the disk. It calls seen for each, in the order
// of their names. It stops between two queues when ctx has ended.
func (r *Registry) Sum(ctx context.Context, seen func(*Queue)) Sum {
	s := Sum{Totals: r.Totals()}
	r.mu.RLock()
	s.TotalItems, s.Expired, s.Discarded = r.gone.items, r.gone.expired, r.gone.discarded
	r.mu.RUnlock()
	r.Each(func(q *Queue) bool {
		if ctx.Err() != nil {
			return false
		}
		seen(q)
		one, known := q.KnownStats()
		if !known {
			s.Uncounted++
		}
		s.Items += one.Items
		s.Bytes += one.Bytes
		s.TotalItems += one.TotalItems
		s.Expired += one.Expired
		s.Discarded += one.DiscardedFull
		return true
	})
	s.DiskBytes, s.DiskLimit = r.Disk()
	return s
}

// gone are figures of queues that were deleted since the start. Without them sums would fall, and
// whoever makes rates of them would take that for a restart.
type gone struct{ items, expired, discarded uint64 }

// goneLocked are the figures of all queues, as far as they are known.
func (s *store) goneLocked() (all gone) {
	for q := range s.queuesLocked() {
		one, _ := q.knownStatsLocked()
		all.items += one.TotalItems
		all.expired += one.Expired
		all.discarded += one.DiscardedFull
	}
	return all
}
