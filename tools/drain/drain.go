// Package drain moves all items of a running queue server to another one, over the protocol that
// both speak: from Darner, Kestrel or Siberite to Darner.
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

// Moved counts what was moved from one queue.
type Moved struct {
	Queue        string
	Items, Bytes int64
}

// Left is what one queue of the source still holds at the end: items set meanwhile, and items that
// other clients have open.
type Left struct {
	Queue       string
	Items, Open int64
}

// Options for a run.
type Options struct {
	Queues   []string    // none: all
	Progress func(Moved) // after each item; may be nil
	Done     func(Moved) // after each queue, even one that failed
}

// Run moves items, queue by queue and in order, until the source's queues are empty. It confirms an
// item at the source after the target has stored it. Whatever fails, the item is in one of the two
// servers, and at worst in both. The end of ctx ends the run between two items. The protocol does
// not carry when an item was set and when it expires, so this is lost.
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

// list returns the source's queues, parents before their fan-out children. If the target knew a
// child first, the child would also get the items of the parent.
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
		it, err := from.Next(context.WithoutCancel(ctx), m.Queue, 0) // does not wait
		if err != nil {
			return fmt.Errorf("source (the last item moved may be in both): %w", err)
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

// move streams an item from the source to the target.
func move(to *client.Client, queue string, it *client.Item) error {
	if err := to.SetFlags(queue, it.Flags, it, it.Size); err != nil {
		return fmt.Errorf("target (an item of %d bytes goes back to its place at the source): %w",
			it.Size, err)
	}
	if _, err := io.Copy(io.Discard, it); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	return nil
}

// Rest asks the source what is left in queues, or in all queues if none are given.
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

// figure returns a figure of a queue, or 0 if the server does not report it.
func figure(q client.QueueStats, name string) int64 {
	n, _ := strconv.ParseInt(q.Figure[name], 10, 64)
	return n
}
