package queue

// Waiting for a disk that is behind what is put: see wal.Log.CatchUpThen.

// CatchUpThen calls fn once, on another goroutine, when what was refused with wal.ErrBehind should be tried again,
// also where the disk is not going to catch up or the queue is deleted: trying says so. It never blocks; fn must
// not either. stop has fn forgotten, unless it is called already or about to be.
func (q *Queue) CatchUpThen(fn func()) (stop func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.log == nil {
		go fn()
		return func() {}
	}
	q.wanted++ // to park it would take as long as the disk does
	forget := q.log.CatchUpThen(func() {
		q.unwant()
		fn()
	})
	return func() {
		if forget() {
			q.unwant()
		}
	}
}

func (q *Queue) unwant() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wanted--
}
