package memcache

// SET of an item that is too large for the input buffer: its body goes to the queue in chunks, each
// written by a job, so that memory is bounded and no other client waits.

import (
	"errors"

	"github.com/darner/darner/server/queue"
)

// startUpload begins the item in its queue.
func (s *Session) startUpload() {
	set := &s.set
	set.size = set.left
	begin := func() { set.upload, set.err = set.q.BeginLarge(set.size, set.meta) }
	s.work(begin, (*Session).uploadStarted)
}

func (s *Session) uploadStarted() {
	if s.uploadFailed() {
		return
	}
	s.next = (*Session).uploadChunk
}

// uploadChunk gathers a chunk of the body, and has it written.
func (s *Session) uploadChunk() {
	set := &s.set
	chunk := s.useChunk()
	n := copy(chunk[set.filled:], s.in[:min(int64(len(s.in)), set.left)])
	s.skipBody(int64(n))
	set.filled += n
	switch {
	case set.filled == len(chunk), set.left == 0 && set.filled > 0:
		s.work(func() {
			if _, set.err = set.upload.Write(chunk[:set.filled]); set.err != nil {
				set.upload.Abort() // it waits for the disk as well
			}
		}, (*Session).uploadWritten)
	case set.left == 0:
		s.uploadEnd()
	default:
		s.need = 1
	}
}

func (s *Session) uploadWritten() {
	s.set.filled = 0
	if s.uploadFailed() {
		return
	}
	s.next = (*Session).uploadChunk
}

// uploadEnd gives a whole body its place in the queue.
func (s *Session) uploadEnd() {
	end, ok := s.bodyEnd(0)
	if !ok {
		return
	}
	s.in = s.in[end:]
	s.freeChunk()
	s.next = (*Session).commitUpload
}

func (s *Session) commitUpload() {
	set := &s.set
	s.work(func() { set.err = set.upload.Commit() }, (*Session).uploadCommitted)
}

func (s *Session) uploadCommitted() {
	if errors.Is(s.set.err, queue.ErrBacklog) {
		s.await(s.set.q.CatchUpThen, (*Session).commitUpload)
		return
	}
	if s.set.err != nil {
		s.stopUpload()
	}
	s.set.upload = nil
	s.stored(s.set.err)
}

// uploadFailed gives an upload up if a job failed: the rest of the body is swallowed.
func (s *Session) uploadFailed() bool {
	if s.set.err == nil {
		return false
	}
	s.refuseUpload(s.set.err)
	return true
}

// refuseUpload swallows the rest of the body of an item that is not stored.
func (s *Session) refuseUpload(err error) {
	s.stopUpload()
	s.freeChunk()
	s.refused(err)
	s.refuseBody(notStored(err))
}

// stopUpload leaves nothing of a body that did not become an item.
func (s *Session) stopUpload() {
	if s.set.upload != nil {
		s.set.upload.Abort()
		s.set.upload, s.set.inline = nil, nil
	}
}
