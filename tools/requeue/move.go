package requeue

// What is done with one item: it is moved, or it stays and is held open until the end, since only
// the head of a queue can be opened.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/darner/darner/tools/client"
	"github.com/darner/darner/tools/exchange"
	"github.com/darner/darner/tools/names"
)

// move moves the head to another queue. It is false if that was not the head any more, or comes up
// again.
func (r *run) move(head client.Info, to string) (done bool, err error) {
	it, err := r.from.Open(r.queue)
	if err != nil || it == nil {
		return false, err
	}
	if it.Sequence != head.Sequence || it.Flags != head.Flags || it.Size != head.Size {
		if err = it.Skip(); err == nil {
			err = r.from.Abort(r.queue)
		}
		return false, err
	}
	twice := r.isStored(head)
	if !twice {
		if err := r.store(it, to); err != nil {
			return false, err
		}
		r.stored = head
	}
	if err := it.Skip(); err != nil {
		return false, r.inBoth(head, to, err)
	}
	confirmed, err := r.from.Confirm(r.queue)
	switch {
	case err != nil:
		return false, r.inBoth(head, to, err)
	case !confirmed && twice:
		return false, r.inBoth(head, to, errors.New("it takes longer than the open-timeout allows"))
	case !confirmed: // it went back
		return false, nil
	}
	r.note(to, head.Size)
	return true, nil
}

// isStored reports whether an item was stored before, and is back since it was open for too long.
func (r *run) isStored(head client.Info) bool {
	s := r.stored
	return s.Sequence == head.Sequence && s.Size == head.Size && s.Flags == head.Flags &&
		s.Enqueued == head.Enqueued
}

// store puts an item into a queue. The error says where the item is.
func (r *run) store(it *client.Item, to string) error {
	body := &body{Reader: it}
	err := r.to.Send(to, exchange.Item{Flags: it.Flags, Size: it.Size, Body: body})
	if err == nil {
		err = r.to.Flush()
	}
	switch {
	case err == nil:
		return nil
	case body.err != nil:
		return fmt.Errorf("item %d of %s: %w", it.Sequence, names.Printable(r.queue), body.err)
	case r.to.Sent() > 0:
		return fmt.Errorf("item %d of %s may be in %s too: %w",
			it.Sequence, names.Printable(r.queue), names.Printable(to), err)
	}
	return fmt.Errorf("item %d stays in %s: %s: %w",
		it.Sequence, names.Printable(r.queue), names.Printable(to), err)
}

// inBoth is the error for an item that was stored, and could not be confirmed.
func (r *run) inBoth(it client.Info, to string, err error) error {
	return fmt.Errorf("item %d of %s is in %s too: %w",
		it.Sequence, names.Printable(r.queue), names.Printable(to), err)
}

// body remembers why it could not be read.
type body struct {
	io.Reader
	err error
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// note counts an item that was moved.
func (r *run) note(to string, size int64) {
	i := slices.IndexFunc(r.Moved, func(m Moved) bool { return m.Queue == to })
	if i < 0 {
		i = len(r.Moved)
		r.Moved = append(r.Moved, Moved{Queue: to})
	}
	r.Moved[i].Items++
	r.Moved[i].Bytes += size
	if r.Progress != nil {
		r.Progress(r.Items())
	}
}

// passOver holds the head open so that the next one comes up. It is false if that was not the head
// any more, or was held before and went back since it was open for too long.
func (r *run) passOver(ctx context.Context, head client.Info) (done bool, err error) {
	if r.most != "" {
		return false, r.counts(fmt.Sprintf("item %d does not say where it came from, so it would be "+
			"opened and given back (see --to)", head.Sequence))
	}
	if r.holder == nil {
		if r.holder, err = client.Dial(ctx, r.address); err != nil {
			return false, err
		}
	}
	it, err := r.holder.OpenAhead(r.queue)
	if errors.As(err, new(client.ServerError)) {
		err = fmt.Errorf("%s of %s do not say where they came from, and are in the way (see --to): %w",
			client.Count(r.Stay, "item"), names.Printable(r.queue), err)
	}
	if err != nil || it == nil {
		return false, err
	}
	r.held++
	if err := it.Skip(); err != nil {
		return false, err
	}
	if it.Sequence != head.Sequence {
		return false, r.giveBack()
	}
	if r.stays[head.Sequence] {
		return false, nil
	}
	r.stays[head.Sequence] = true
	if r.Stay++; r.Stay == 1 {
		r.First = head.Sequence
	}
	return true, nil
}

// giveBack puts what is held open back into its place.
func (r *run) giveBack() error {
	for ; r.held > 0; r.held-- {
		if err := r.holder.Abort(r.queue); err != nil {
			return err
		}
	}
	return nil
}
