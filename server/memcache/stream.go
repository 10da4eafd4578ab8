package memcache

// GET of a large item: its body is read in chunks, each by a job, as the socket takes them.

import (
	"io"

	"github.com/darner/darner/server/queue"
)

// startStream opens the body of the item in hand and reads its first chunk: an item damaged there is
// passed over like any other.
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
		s.unreadable(err)
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

// streamBroken closes: half of the body is out, and no answer can take it back. A damaged item is
// given up, or the next client would run into it too.
func (s *Session) streamBroken() {
	g := &s.get
	q := g.keys[g.at].q
	s.env.Logger.Error("cannot read an item to its end; the connection that asked for it is closed",
		"queue", q.Name(), "item", g.item.Seq, "error", g.err)
	if damaged(g.err) {
		q.Drop(g.item)
		g.item = queue.Item{}
	}
	s.state = Closing
}

func (s *Session) closeReader() {
	if g := &s.get; g.reader != nil {
		g.reader.Close()
		g.reader = nil
	}
}

// stopStreaming puts an item back whose body did not go out whole.
func (s *Session) stopStreaming() {
	s.closeReader()
	if g := &s.get; g.item.Seq != 0 {
		g.keys[g.at].q.Return(g.item)
		g.item = queue.Item{}
	}
}
