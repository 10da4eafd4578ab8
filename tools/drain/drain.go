// Package drain moves all items of a live queue server into another, over the protocol that both
// speak: a Darner, a Kestrel or a Siberite into a Darner.
package drain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/darner/darner/tools/client"
)

// Moved counts what was moved of one queue.
type Moved struct {
	Queue        string
	Items, Bytes int64
}

// Left is what one queue of the source holds at the end: items that came meanwhile, and items that
// other clients have open.
type Left struct {
	Queue       string
	Items, Open int64
}

// Options of a run.
type Options struct {
	Queues   []string    // none: all
	Progress func(Moved) // after each item; may be nil
	Done     func(Moved) // after each queue, also one that failed
}

// Run moves items until the queues of the source are empty, in order, queue by queue. An item is
// confirmed at the source when the target has answered that it is stored: whatever breaks, it is in
// one of the two, and at worst in both. The end of ctx ends the run between two items. What the
// protocol does not carry is lost: when an item was set, and when it expires.
func Run(ctx context.Context, from, to *client.Client, o Options) error {
	queues := o.Queues
	if len(queues) == 0 {
		var err error
		if queues, err = list(from); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	for _, q := range queues {
		m := Moved{Queue: q}
		err := m.run(ctx, from, to, o.Progress)
		o.Done(m)
		if err != nil {
			return fmt.Errorf("queue %s, after %d items: %w", q, m.Items, err)
		}
	}
	return nil
}

// list returns the source's queues, parents before their fan-out children: once a child is known to
// the target it would get what is set to the parent.
func list(from *client.Client) (queues []string, err error) {
	s, err := from.Stats()
	for _, q := range s.Queues {
		queues = append(queues, q.Name)
	}
	slices.Sort(queues)
	return queues, err
}

func (m *Moved) run(ctx context.Context, from, to *client.Client, progress func(Moved)) error {
	for ctx.Err() == nil {
		it, err := from.Next(context.WithoutCancel(ctx), m.Queue, 0) // which does not wait
		if err != nil {
			return fmt.Errorf("source (the item that was moved last may be in both): %w", err)
		}
		if it == nil {
			return nil
		}
		if err := move(to, m.Queue, it); err != nil {
			return err
		}
		m.Items++
		m.Bytes += it.Size
		if progress != nil {
			progress(*m)
		}
	}
	return errors.Join(ctx.Err(), from.Confirm(m.Queue))
}

// move sets an item at the target as its body comes from the source.
func move(to *client.Client, queue string, it *client.Item) error {
	if err := to.SetFlags(queue, it.Flags, it, it.Size); err != nil {
		return fmt.Errorf("target (an item of %d bytes goes back to its place at the source): %w", it.Size, err)
	}
	if _, err := io.Copy(io.Discard, it); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	return nil
}

// Rest asks the source what is left. Of queues, none means all.
func Rest(from *client.Client, queues []string) (left []Left, err error) {
	s, err := from.Stats()
	for _, q := range s.Queues {
		l := Left{Queue: q.Name, Items: figure(q, "items"), Open: figure(q, "open_transactions")}
		if l.Items+l.Open > 0 && (len(queues) == 0 || slices.Contains(queues, q.Name)) {
			left = append(left, l)
		}
	}
	return left, err
}

// figure is 0 for what a server does not tell.
func figure(q client.QueueStats, name string) int64 {
	n, _ := strconv.ParseInt(q.Figure[name], 10, 64)
	return n
}
