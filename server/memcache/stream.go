package memcache

// GET of a large item: its body is read in chunks, each by a job, as fast as the socket takes them.

import (
	"io"

	"github.com/darner/darner/server/queue"
)

// startStream opens the body of the current item and reads its first chunk. An item that is damaged
// there is skipped like any other.
func (s *Session) startStream() {
	g := &s.get
	q := g.keys[g.at].q
	g.left = g.item.Size
	s.useChunk()
	s.work(func() {
		if g.reader, g.err = q.Open(g.item); g.err == nil {
			s.readChunk()
		}
	}, (*Session).streamStarted)
}

// readChunk is the job that reads the next chunk, and closes the body after the last.
func (s *Session) readChunk() {
	g := &s.get
	g.filled, g.err = io.ReadFull(g.reader, s.chunk[:min(chunkSize, g.left)])
	if g.err != nil || int64(g.filled) == g.left {
		s.closeReader()
	}
}

func (s *Session) streamStarted() {
	if err := s.get.err; err != nil {
		s.readFailed(err)
		return
	}
	s.appendValue()
	s.sendChunk()
}

func (s *Session) streamRead() {
	if s.get.err != nil {
		s.streamBroken()
		return
	}
	s.sendChunk()
}

// sendChunk answers with the chunk that was read.
func (s *Session) sendChunk() {
	g := &s.get
	s.out = append(s.out, s.chunk[:g.filled]...)
	g.left -= int64(g.filled)
	s.next = (*Session).nextChunk
}

// nextChunk has the next one read, or ends the item.
func (s *Session) nextChunk() {
	if s.get.left > 0 {
		s.work(s.readChunk, (*Session).streamRead)
		return
	}
	s.freeChunk()
	s.reply("\r\n")
	s.delivered()
}

// streamBroken closes: part of the body is sent, and no answer can take it back. A damaged item is
// dropped, or the next client would meet it too.
func (s *Session) streamBroken() {
	g := &s.get
	q := g.keys[g.at].q
	s.logBroken(q, g.item.Seq, g.err)
	if damaged(g.err) {
		q.Drop(g.item)
		g.item = queue.Item{}
	}
	s.state = Closing
}

func (s *Session) logBroken(q Queue, seq uint64, err error) {
	s.env.Logger.Error("cannot read an item to its end; its connection is closed",
		"queue", q.Name(), "item", seq, "error", err)
}

func (s *Session) closeReader() {
	if g := &s.get; g.reader != nil {
		g.reader.Close()
		g.reader = nil
	}
}

// stopStreaming puts back an item whose body was not sent whole.
func (s *Session) stopStreaming() {
	s.closeReader()
	if g := &s.get; g.item.Seq != 0 {
		g.keys[g.at].q.Return(g.item)
		g.item = queue.Item{}
	}
}
