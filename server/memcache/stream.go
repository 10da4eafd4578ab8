package memcache

// GET of a large item: a job verifies and borrows some of its body, which then is sent as fast as
// the socket takes it, before the next job.

import (
	"io"

	"github.com/darner/darner/server/queue"
)

// pieceBytes is how much of a large item is borrowed at a time, in chunks.
const pieceBytes = 1 << 20

// startStream opens the body of the current item and borrows its first piece. An item that is
// damaged there is skipped like any other.
func (s *Session) startStream() {
	g := &s.get
	q := g.keys[g.at].q
	g.left = g.item.Size
	s.work(func() {
		if g.body, g.err = q.Open(g.item); g.err == nil {
			s.borrowPiece()
		}
	}, (*Session).streamStarted)
}

// borrowPiece is the job that borrows the next piece, and closes the body after the last.
func (s *Session) borrowPiece() {
	g := &s.get
	g.pieces, g.err = g.body.Lend(g.pieces[:0], min(pieceBytes, g.left))
	left := g.left
	for i := range g.pieces {
		left -= int64(len(g.pieces[i].Payload))
	}
	if g.err == io.EOF || left < 0 {
		g.err = io.ErrUnexpectedEOF
	}
	if g.err != nil || left == 0 {
		s.closeBody()
	}
}

func (s *Session) streamStarted() {
	if err := s.get.err; err != nil {
		s.releasePieces()
		s.readFailed(err)
		return
	}
	s.appendValue()
	s.answerPiece()
}

func (s *Session) streamRead() {
	if s.get.err != nil {
		s.streamBroken()
		return
	}
	s.answerPiece()
}

// answerPiece answers with what was borrowed.
func (s *Session) answerPiece() {
	g := &s.get
	for i := range g.pieces {
		g.left -= int64(len(g.pieces[i].Payload))
		s.appendLoan(g.pieces[i])
		g.pieces[i] = queue.Loan{}
	}
	g.pieces = g.pieces[:0]
	if g.left > 0 {
		s.next = (*Session).nextPiece
		return
	}
	s.reply("\r\n")
	s.delivered()
}

// nextPiece has the next one borrowed.
func (s *Session) nextPiece() { s.work(s.borrowPiece, (*Session).streamRead) }

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

func (s *Session) closeBody() {
	if g := &s.get; g.body != nil {
		g.body.Close()
		g.body = nil
	}
}

func (s *Session) releasePieces() {
	for i := range s.get.pieces {
		s.get.pieces[i].Release()
	}
	s.get.pieces = nil
}

// stopStreaming puts back an item whose body was not sent whole.
func (s *Session) stopStreaming() {
	s.closeBody()
	s.releasePieces()
	if g := &s.get; g.item.Seq != 0 {
		g.keys[g.at].q.Return(g.item)
		g.item = queue.Item{}
	}
}
