package queue

// The figures of all queues together.

// Sum is what the queues of a registry hold, and what became of them since the start or ResetStats.
type Sum struct {
	Totals
	Items, Bytes         int64  // that wait
	TotalItems, Expired  uint64 // set; expired
	Uncounted            int    // queues that nobody has looked at since the start: they are not in the figures above
	DiskBytes, DiskLimit int64  // that all queues take, and may take; 0: any number
}

// Sum adds up what is known of all queues, without the disk. When stop says so it gives up between two queues.
func (r *Registry) Sum(stop func() bool) Sum {
	s := Sum{Totals: r.Totals()}
	r.Each(func(q *Queue) bool {
		if stop() {
			return false
		}
		one, known := q.Known()
		if !known {
			s.Uncounted++
		}
		s.Items += one.Items
		s.Bytes += one.Bytes
		s.TotalItems += one.TotalItems
		s.Expired += one.Expired
		return true
	})
	s.DiskBytes, s.DiskLimit = r.Disk()
	return s
}
