package memcache

// SET of an item that goes into the queue's log as it arrives: piece by piece, from the input or
// received straight into the log's memory, without a job. If the client is so slow that the queue
// moves what has come to a file, the rest goes there by jobs, as that of a large item.

import (
	"errors"

	"github.com/darner/darner/server/queue"
)

// wholeMax is the size, in bytes, of the largest body that waits in the input until it is whole.
const wholeMax = 16 << 10

// storePieces begins the item in its queue, unless the body is in the input already.
func (s *Session) storePieces() {
	set := &s.set
	if int64(len(s.in)) > set.left {
		s.next = (*Session).storeInline
		return
	}
	if len(s.in) == 0 { // a client that sends nothing gets no room
		s.need = 2 // so many come at least, and more than 1 says that the client may pause here
		return
	}
	err := set.err
	if err == nil {
		set.size = set.left
		set.inline, err = set.q.TryUpload(int(set.size), set.meta)
	}
	switch {
	case errors.Is(err, queue.ErrTooLarge): // the queue's segments are small
		s.startUpload()
	case s.tryAgain(err, (*Session).storePieces):
	case err != nil:
		s.refuseUpload(err)
	default:
		set.upload = set.inline
		s.next = (*Session).takePiece
	}
}

// takePiece takes what has come.
func (s *Session) takePiece() {
	set := &s.set
	if n := min(int64(len(s.in)), set.left); n > 0 {
		_, err := set.inline.TryWrite(s.in[:n])
		if err == queue.ErrUnready {
			set.inline = nil
			s.next = (*Session).uploadChunk
			return
		}
		if err != nil {
			s.refuseUpload(err)
			return
		}
		s.skipBody(n)
	}
	if set.left > 0 {
		s.need = 1
		return
	}
	if end, ok := s.bodyEnd(0); ok {
		s.in = s.in[end:]
		s.next = (*Session).placeItem
	}
}

// placeItem gives the item its place in the queue.
func (s *Session) placeItem() {
	set := &s.set
	err := set.err
	if err == nil {
		err = set.inline.TryCommit()
	}
	switch {
	case err == queue.ErrUnready && set.inline.Aside():
		s.commitUpload()
		return
	case s.tryAgain(err, (*Session).placeItem):
		return
	case err != nil:
		s.stopUpload()
	}
	set.upload, set.inline = nil, nil
	s.stored(err)
}

// Space returns memory for the next input, which is the rest of a body: the transport may receive
// it there if it has no other input of the session's. Otherwise Space is nil. If it is not,
// Received must follow at once.
func (s *Session) Space() []byte {
	if s.set.inline == nil || s.state != Ready || s.set.left == 0 {
		return nil
	}
	return s.set.inline.Lend()
}

// Received says how many bytes were received into Space; failed, that the memory takes none. Then
// Process goes on.
func (s *Session) Received(n int, failed bool) {
	set := &s.set
	last := set.inline.Lent(n, failed)
	if n == 0 {
		return
	}
	set.last = last
	set.left -= int64(n)
	if set.left == 0 {
		s.need = 0
	}
}
