package client

// darner put: appends files or standard input to a queue.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/darner/darner/tools/exchange"
)

// Stdin is the name of standard input among files.
const Stdin = "-"

// Put appends the items of files to a queue, and returns how many are stored. It stops at the first
// that cannot be stored, which the error names: those before it are stored, and none after it. If
// ctx ends, it stops before the next item.
func Put(ctx context.Context, address, queue string, files []string, f Framing) (int, error) {
	s, err := NewSetter(ctx, address)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	p := &putter{ctx: ctx, to: s, queue: queue, framing: f}
	for _, name := range files {
		if err = p.file(name); err != nil {
			break
		}
	}
	err = first(p.refused, first(s.Flush(), err))
	return s.Stored(), p.explain(err)
}

// putter is a run of Put.
type putter struct {
	ctx     context.Context
	to      *Setter
	queue   string
	framing Framing
	begun   []beginning // the files so far
	items   int         // read so far
	refused error       // found while more input was waited for
}

// beginning is where a file begins: its first item is at this place among all.
type beginning struct {
	file string
	at   int
}

func (p *putter) file(name string) error {
	p.begun = append(p.begun, beginning{name, p.items})
	f := os.Stdin
	if name != Stdin {
		var err error
		if f, err = os.Open(name); err != nil {
			return errors.Unwrap(err) // the name is said anyway
		}
		defer f.Close()
	}
	var in io.Reader = f
	if p.framing != Bare || !hasSize(f) {
		in = &patient{p, f}
	}
	from, free := p.framing.decoder(in)
	defer free()
	for {
		it, err := from.Decode()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = p.item(it)
		}
		if err != nil {
			return err
		}
	}
}

func (p *putter) item(it exchange.Item) error {
	if p.items == 1 {
		if err := p.to.Ahead(); err != nil {
			return err
		}
	}
	p.items++
	it.Body = until{p.ctx, it.Body}
	return first(p.ctx.Err(), p.to.Send(p.queue, it))
}

// until reads until ctx ends.
type until struct {
	ctx context.Context
	io.Reader
}

func (u until) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(b)
}

// patient reads input that may be long in coming. Before it waits, what was sent is answered; and
// the end of ctx ends the wait.
type patient struct {
	p  *putter
	in io.Reader
}

func (r *patient) Read(b []byte) (int, error) {
	if r.p.refused = r.p.to.Flush(); r.p.refused != nil {
		return 0, r.p.refused
	}
	type result struct {
		n   int
		err error
	}
	read := make(chan result, 1)
	go func() {
		n, err := r.in.Read(b)
		read <- result{n, err}
	}()
	select {
	case got := <-read:
		return got.n, got.err
	case <-r.p.ctx.Done():
		return 0, r.p.ctx.Err() // the read may go on, into what nobody uses any more
	}
}

// explain says which item an error is about, and what became of the others.
func (p *putter) explain(err error) error {
	if err == nil {
		return nil
	}
	n := int64(p.to.Stored())
	stored := "1 item is stored"
	if n != 1 {
		stored = Count(n, "item") + " are stored"
	}
	place := p.place(int(n))
	switch unknown := p.to.Sent(); {
	case unknown > 1:
		return fmt.Errorf("%s: %w; %s, and perhaps some of the next %d", place, err, stored, unknown)
	case unknown == 1:
		return fmt.Errorf("%s: %w; %s, and perhaps that one", place, err, stored)
	case p.ctx.Err() != nil:
		return kindError{fmt.Errorf("interrupted at %s; %s", place, stored), p.ctx.Err()}
	case n == 0 && p.items <= 1 && len(p.begun) == 1:
		return fmt.Errorf("%s: %w", place, err)
	}
	return fmt.Errorf("%s: %w; %s, and none from there on", place, err, stored)
}

// place names the item that has this place among all.
func (p *putter) place(i int) string {
	b := p.begun[0]
	for _, later := range p.begun {
		if later.at <= i {
			b = later
		}
	}
	if p.framing == Bare {
		return b.String()
	}
	kind := "item"
	if p.framing == Lines {
		kind = "line"
	}
	return fmt.Sprintf("%s, %s %d", b, kind, i-b.at+1)
}

func (b beginning) String() string {
	if b.file == Stdin {
		return "standard input"
	}
	return b.file
}
