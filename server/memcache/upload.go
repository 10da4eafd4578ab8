package memcache

// SET of an item too large for the input buffer: its body goes to the queue in chunks, each written
// by a job, so that memory is bounded and no other client waits.

import (
	"errors"

	"github.com/darner/darner/server/queue"
)

// startUpload opens the way in.
func (s *Session) startUpload() {
	b := &s.body
	b.size = b.left
	s.work(func() { b.upload, b.err = b.q.Create(b.size, b.meta) }, (*Session).uploadStarted)
}

func (s *Session) uploadStarted() {
	if s.uploadFailed() {
		return
	}
	s.next = (*Session).uploadChunk
}

// uploadChunk gathers a chunk of the body and has it written.
func (s *Session) uploadChunk() {
	b := &s.body
	chunk := s.useChunk()
	n := copy(chunk[b.filled:], s.in[:min(int64(len(s.in)), b.left)])
	s.in = s.in[n:]
	b.filled += n
	b.left -= int64(n)
	switch {
	case b.filled == len(chunk), b.left == 0 && b.filled > 0:
		s.work(func() {
			if _, b.err = b.upload.Write(chunk[:b.filled]); b.err != nil {
				b.upload.Abort() // which waits for the disk as well
			}
		}, (*Session).uploadWritten)
	case b.left == 0:
		s.uploadEnd()
	default:
		s.need = 1
	}
}

func (s *Session) uploadWritten() {
	s.body.filled = 0
	if s.uploadFailed() {
		return
	}
	s.next = (*Session).uploadChunk
}

// uploadEnd gives a whole body its place in the queue.
func (s *Session) uploadEnd() {
	end, ok := s.lineEnd(0)
	if !ok {
		return
	}
	s.in = s.in[end:]
	s.freeChunk()
	s.next = (*Session).commitUpload
}

func (s *Session) commitUpload() {
	b := &s.body
	s.work(func() { b.err = b.upload.Commit() }, (*Session).uploadCommitted)
}

func (s *Session) uploadCommitted() {
	if errors.Is(s.body.err, queue.ErrBehind) {
		s.await(s.body.q.CatchUpThen, (*Session).commitUpload)
		return
	}
	if s.body.err != nil {
		s.stopUpload()
	}
	s.body.upload = nil
	s.stored(s.body.err)
}

// uploadFailed gives an upload up after a job failed: the rest of the body is swallowed.
func (s *Session) uploadFailed() bool {
	if s.body.err == nil {
		return false
	}
	s.stopUpload()
	s.freeChunk()
	s.refuseBody(notStored(s.body.err))
	return true
}

// stopUpload leaves nothing of a body that did not become an item.
func (s *Session) stopUpload() {
	if s.body.upload != nil {
		s.body.upload.Abort()
		s.body.upload = nil
	}
}
