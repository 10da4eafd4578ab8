package queue

// Storing an item as it arrives: its payload goes into the log piece by piece, and the item gets
// its place in the queue when it is whole.

import "errors"

// InlineUpload is an Upload into the log. What begins with Try, Lend and Lent do not wait for the
// disk. If the client is slow, the payload may be moved to a file of its own meanwhile: then
// TryWrite and TryCommit return ErrUnready and Aside is true, and Write and Commit are left. Abort
// waits if Aside.
type InlineUpload interface {
	Upload

	// Lend returns memory that takes the rest of the payload, nil if TryWrite has to do. Otherwise
	// Lent must follow at once: it says how many bytes were put there, and failed that none can be.
	// It returns the last of these.
	Lend() []byte
	Lent(n int, failed bool) (last byte)

	TryWrite(p []byte) (int, error)
	Aside() bool

	// TryCommit is Commit. After any error the upload is as it was: see TryPut about what to do.
	TryCommit() error
}

type inlineUpload struct {
	inlineBody
	store *store
	log   log

	size  int64 // of the payload
	meta  Meta
	ended bool
}

// TryUpload begins an item of size bytes, at least 1, that TryPut would take. Its errors are those
// of TryPut.
func (q *Queue) TryUpload(size int, m Meta) (InlineUpload, error) {
	s := q.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == nil {
		return nil, ErrNotLoaded
	}
	s.lastUse = s.reg.tick.Load()
	if m.Enqueued == 0 {
		m.Enqueued = s.reg.eras.now()
	}
	s.delayLocked(&m)
	if err := s.admitLocked(int64(size), m.Due() != 0); err != nil {
		return nil, err
	}
	body, err := s.log.TryUpload(size, m)
	if err != nil {
		return nil, err
	}
	s.uploads++
	return &inlineUpload{
		inlineBody: body, store: s, log: s.log, size: int64(size), meta: m,
	}, nil
}

func (u *inlineUpload) Write(p []byte) (int, error) {
	u.store.discardFor(int64(len(p)) + chunk)
	n, err := u.inlineBody.Write(p)
	return n, reword(u.store, err)
}

func (u *inlineUpload) TryWrite(p []byte) (int, error) {
	n, err := u.inlineBody.TryWrite(p)
	return n, reword(u.store, err)
}

func (u *inlineUpload) TryCommit() error {
	s := u.store
	era := u.correctTimes()
	s.mu.Lock()
	var p Position
	err := s.admitLocked(u.size, u.meta.Due() != 0)
	if err == nil {
		p, err = u.inlineBody.TryCommit()
	}
	if err != nil {
		s.mu.Unlock()
		return reword(s, err)
	}
	u.placedAndUnlock(p, era)
	return nil
}

func (u *inlineUpload) Commit() error {
	s := u.store
	s.discardFor(min(s.segmentSize()/2, extent))
	era := u.correctTimes()
	p, err := s.appendReserved(u.size, u.meta.Due() != 0, u.inlineBody.Commit)
	if errors.Is(err, ErrBacklog) {
		return err
	}
	if err != nil {
		u.Abort()
		return reword(s, err)
	}
	s.mu.Lock()
	u.placedAndUnlock(p, era)
	return nil
}

func (u *inlineUpload) correctTimes() (era uint32) {
	by, era := u.store.reg.eras.correction(u.meta.Enqueued)
	u.Move(by)
	u.meta.Move(by)
	return era
}

// placedAndUnlock notes that the item has its place, and serves the waiters. store.mu is held, and
// released.
func (u *inlineUpload) placedAndUnlock(p Position, era uint32) {
	if u.store.log == u.log {
		u.store.noteEraLocked(p.Seq, era)
		u.store.timePutLocked(p, u.meta)
	}
	u.endLocked()
	u.store.serveAndUnlock()
}

func (u *inlineUpload) Abort() {
	if u.ended {
		return
	}
	u.inlineBody.Abort()
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	u.endLocked()
}

func (u *inlineUpload) endLocked() {
	u.ended = true
	if u.log == u.store.log {
		u.store.uploads--
	}
}
