package memcache

// GET of a large item: its body is read in chunks, each by a job, as the socket takes them.

import (
	"io"

	"github.com/darner/darner/server/queue"
)

// startStream opens the body of the item in hand.
func (s *Session) startStream() {
	g := &s.get
	q := g.keys[g.at].q
	s.work(func() { g.reader, g.err = q.Open(g.item) }, (*Session).streamStarted)
}

func (s *Session) streamStarted() {
	g := &s.get
	if g.err != nil {
		g.reader = nil
		s.unreadable(g.err)
		return
	}
	s.appendValue()
	g.left = g.item.Size
	s.next = (*Session).streamChunk
}

// streamChunk has the next chunk read, or ends the item.
func (s *Session) streamChunk() {
	g := &s.get
	if g.left == 0 {
		g.reader.Close()
		g.reader = nil
		s.freeChunk()
		s.reply("\r\n")
		s.delivered()
		return
	}
	chunk := s.useChunk()
	chunk = chunk[:min(int64(len(chunk)), g.left)]
	s.work(func() { g.filled, g.err = io.ReadFull(g.reader, chunk) }, (*Session).streamRead)
}

func (s *Session) streamRead() {
	g := &s.get
	if g.err != nil {
		s.streamBroken()
		return
	}
	s.out = append(s.out, s.chunk[:g.filled]...)
	g.left -= int64(g.filled)
	s.next = (*Session).streamChunk
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

// stopStreaming puts an item back whose body did not go out, and one that was about to.
func (s *Session) stopStreaming() {
	g := &s.get
	if g.reader != nil {
		g.reader.Close()
		g.reader = nil
	}
	if g.item.Seq != 0 {
		g.keys[g.at].q.Return(g.item)
		g.item = queue.Item{}
	}
}
