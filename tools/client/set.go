package client

// Setting items, many of them ahead of their answers.

import (
	"context"
	"fmt"
	"io"

	"github.com/darner/darner/tools/exchange"
)

// window is how many items may be sent before their answers are read, at most. The answers must fit
// in the buffers of the connection.
const window = 256

// Setter appends items to queues, in order, and stops at the first refusal: those before it are
// stored, and none after it.
type Setter struct {
	c      *Client
	synced bool // each item is to be on stable storage before it counts as stored
	ahead  int  // how many items may be sent before their answers are read
	sent   int  // items that were sent and not answered
	done   int  // items that the server has stored
}

// NewSetter connects to a server.
func NewSetter(ctx context.Context, address string) (*Setter, error) {
	c, err := Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &Setter{c: c, ahead: 1}, nil
}

// Ahead lets the Setter send items ahead if the server is one that can be told to stop at the first
// refusal. It is worth a round trip when there are several items.
func (s *Setter) Ahead() error {
	if s.ahead > 1 {
		return nil
	}
	if err := s.Flush(); err != nil {
		return err
	}
	can, _, err := s.c.askedAhead()
	if can {
		s.ahead = window
	}
	return err
}

// Sync has each item on stable storage before it counts as stored.
func (s *Setter) Sync() { s.synced = true }

// Close ends the connection.
func (s *Setter) Close() { s.c.Close() }

// Stored returns how many items the server has stored.
func (s *Setter) Stored() int { return s.done }

// Sent returns how many items were sent, and may be stored or not: their answers are not read.
func (s *Setter) Sent() int { return s.sent }

// Send sends an item, whose answer Flush reads. If too many answers are due, it waits for them
// first. An error may be about an item that was sent before. After an error the Setter can only be
// closed.
func (s *Setter) Send(queue string, it exchange.Item) error {
	if err := CheckName(queue); err != nil {
		return err
	}
	options := ""
	if s.ahead > 1 {
		options = "/strict"
	}
	if s.synced {
		options += "/sync"
	}
	w := s.c.w
	fmt.Fprintf(w, "set %s%s %d %d %d\r\n", queue, options, it.Flags, exptime(it.Expires), it.Size)
	n, err := io.CopyN(struct{ io.Writer }{w}, it.Body, it.Size) // w.ReadFrom would keep its error
	if err == nil {
		w.WriteString("\r\n")
	}
	if _, broken := w.Write(nil); broken != nil { // the error of any write before
		s.sent++
		return first(s.Flush(), broke(broken)) // a refusal is the reason, if there is one
	}
	if err == io.EOF {
		err = fmt.Errorf("the item has %s instead of %d: %w", Count(n, "byte"), it.Size,
			io.ErrUnexpectedEOF)
	}
	if err != nil {
		return first(s.Flush(), err)
	}
	if s.sent++; s.sent < s.ahead {
		return nil
	}
	return s.Flush()
}

// exptime is when an item expires as the protocol has it, from Unix ms. What is small would count
// from now: it was long ago.
func exptime(expires int64) int64 {
	const month = 30 * 24 * 60 * 60
	seconds := (expires + 999) / 1000
	if seconds > 0 && seconds <= month {
		return -1
	}
	return seconds
}

// Flush waits for the answers to all items sent. The first refusal is an error: then none of the
// items after that one are stored.
func (s *Setter) Flush() error {
	if s.sent == 0 {
		return nil
	}
	broken := s.c.w.Flush()
	for s.sent > 0 {
		err := s.answer()
		if IsRefusal(err) {
			s.sent = 0
		}
		if err != nil {
			return err
		}
		s.sent--
		s.done++
	}
	return broke(broken)
}

// answer reads the answer to one SET.
func (s *Setter) answer() error {
	line, err := s.c.line()
	switch {
	case err != nil:
		return err
	case string(line) == "NOT_STORED":
		return ErrFull
	case string(line) != "STORED":
		return unexpected(string(line))
	}
	return nil
}
