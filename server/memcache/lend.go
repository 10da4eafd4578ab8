package memcache

// Payloads in the output. A short one is copied into it. A long one is lent: the transport sends it
// from where it lies, between the bytes of the output before it and those after it.

import "github.com/darner/darner/server/queue"

const (
	// lendFrom is the length in bytes from which a payload is lent. Copying a shorter one, which
	// was just verified and is in the processor's cache, costs no more than more parts of a write.
	lendFrom = 16 << 10
	// lendHeapFrom is that of one that is in memory, perhaps with others that it would keep there.
	lendHeapFrom = 32 << 10

	// MaxParts is in how many parts the answers of one Process are at most.
	MaxParts = 2*(OutputLimit/lendFrom+1) + 1 + pieceBytes/chunkSize
)

// lent is a payload that is on its way.
type lent struct {
	queue.Loan
	at  uint64 // its offset in the output stream
	q   Queue
	seq uint64
}

func (b *lent) end() uint64 { return b.at + uint64(len(b.Payload)) }

// appendPayload answers with the current item's payload, if that does not wait.
func (s *Session) appendPayload() error {
	g := &s.get
	q := g.keys[g.at].q
	if g.item.Size < lendFrom {
		out, err := q.TryRead(g.item, s.out)
		s.out = out
		return err
	}
	loan, err := q.TryBorrow(g.item)
	if err == nil {
		s.appendLoan(loan)
	}
	return err
}

// appendLoan answers with a payload that was borrowed.
func (s *Session) appendLoan(loan queue.Loan) {
	n := len(loan.Payload)
	if n < lendFrom || n < lendHeapFrom && !loan.Mapped() {
		s.out = append(s.out, loan.Payload...)
		loan.Release()
		return
	}
	g := &s.get
	s.lent = append(s.lent, lent{loan, s.offset(), g.keys[g.at].q, g.item.Seq})
	s.base += uint64(n)
}

// Part is a piece of the output.
type Part struct {
	Bytes []byte
	lent  *lent // nil: text
}

// CopyTo copies a part, as much of it as dst takes. It fails if the disk does not bring back a
// payload that was in memory when it was lent.
func (p *Part) CopyTo(dst []byte) (int, error) {
	if p.lent == nil {
		return copy(dst, p.Bytes), nil
	}
	return p.lent.CopyAt(dst, len(p.lent.Payload)-len(p.Bytes))
}

// Lends reports whether payloads are lent that the socket has not taken: then Parts tells what to
// send.
func (s *Session) Lends() bool { return len(s.lent) > 0 }

// Parts appends to parts what the socket is to take next, as long as there is room for it in parts.
// text is what Process appended, less what the socket took of that. Only Part.CopyTo and the system
// may read the bytes, and only until Took or Close.
func (s *Session) Parts(text []byte, parts []Part) []Part {
	at := s.taken
	for i := range s.lent {
		b := &s.lent[i]
		if before := int(b.at - min(at, b.at)); before > 0 && len(parts) < cap(parts) {
			parts = append(parts, Part{Bytes: text[:before]})
			text, at = text[before:], b.at
		}
		if len(parts) == cap(parts) {
			return parts
		}
		parts = append(parts, Part{b.Payload[at-b.at:], b})
		at = b.end()
	}
	if len(text) > 0 && len(parts) < cap(parts) {
		parts = append(parts, Part{Bytes: text})
	}
	return parts
}

// Took notes that the socket took n more bytes of output, and returns how many of them were text.
// Call Sent as well, when the client's system may be relied on.
func (s *Session) Took(n int) (text int) {
	from := s.taken
	s.taken += uint64(n)
	if len(s.lent) == 0 {
		return n
	}
	text = n
	done := 0
	for i := range s.lent {
		b := &s.lent[i]
		if b.at >= s.taken {
			break
		}
		text -= int(min(b.end(), s.taken) - max(b.at, from))
		if b.end() <= s.taken {
			b.Release()
			done++
		}
	}
	s.dropLent(done)
	return text
}

// dropLent forgets the first n loans.
func (s *Session) dropLent(n int) {
	left := copy(s.lent, s.lent[n:])
	clear(s.lent[left:])
	s.lent = s.lent[:left]
}

// releaseLent ends all loans.
func (s *Session) releaseLent() {
	for i := range s.lent {
		s.lent[i].Release()
	}
	s.dropLent(len(s.lent))
	s.get.loan.Release()
}

// Unreadable notes that the system could not read the payload that it was to send next. The
// connection is to be closed: a part of the answer is sent, and nothing can take it back. The item
// goes back, and whoever gets it next finds out whether it is damaged.
func (s *Session) Unreadable(err error) {
	if len(s.lent) > 0 {
		b := &s.lent[0]
		s.logBroken(b.q, b.seq, err)
	}
}
