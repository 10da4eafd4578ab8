// Package drain moves all items of a running queue server to another one, over the protocol that
// both speak: from Darner, Kestrel or Siberite to Darner.
package drain

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/darner/darner/tools/client"
	"github.com/darner/darner/tools/exchange"
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
	Queues   []string     // none: all
	Prefetch int          // items that are open at the source at a time
	Progress func(Moved)  // after some items; may be nil
	Done     func(Moved)  // after each queue, even one that failed
	Note     func(string) // says when the source broke off, and when it is back; may be nil
}

// Run moves items between two servers, queue by queue and in order, until the source's queues are
// empty. It confirms an item at the source after the target has stored it. Whatever fails, each
// item is in one of the two servers, and at worst the last o.Prefetch are in both. It stops at the
// first item that the target refuses. The end of ctx ends the run between items. The protocol does
// not carry when an item was set and when it expires, so this is lost.
func Run(ctx context.Context, source, target string, o Options) error {
	queues := o.Queues
	if len(queues) == 0 {
		var err error
		if queues, err = list(ctx, source); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	if len(queues) == 0 {
		return nil
	}
	to, err := client.NewSetter(ctx, target)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	defer to.Close()
	if err := to.Ahead(); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	for _, q := range queues {
		m := &mover{to: to, Moved: Moved{Queue: q}, progress: o.Progress}
		_, err := client.Take(ctx, source, q, m,
			client.TakeOptions{Prefetch: o.Prefetch, Note: o.Note})
		o.Done(m.Moved)
		if err != nil {
			return fmt.Errorf("queue %s, after %s: %w", q, client.Count(m.Items, "item"), err)
		}
	}
	return nil
}

// list returns the source's queues, parents before their fan-out children. If the target knew a
// child first, the child would also get the items of the parent.
func list(ctx context.Context, source string) (queues []string, err error) {
	s, err := stats(ctx, source)
	for _, q := range s.Queues {
		queues = append(queues, q.Name)
	}
	slices.Sort(queues)
	return queues, err
}

func stats(ctx context.Context, source string) (s client.Stats, err error) {
	from, err := client.Dial(ctx, source)
	if err != nil {
		return s, err
	}
	defer from.Close()
	return from.Stats()
}

// mover is the sink of one queue's items: the target.
type mover struct {
	Moved
	to       *client.Setter
	progress func(Moved)
}

// Put has the target store items.
func (m *mover) Put(items []*client.Item) (int, error) {
	before := m.to.Stored()
	err := m.send(items)
	done := m.to.Stored() - before
	for _, it := range items[:done] {
		m.Items++
		m.Bytes += it.Size
	}
	if m.progress != nil {
		m.progress(m.Moved)
	}
	return done, err
}

func (m *mover) send(items []*client.Item) error {
	before := m.to.Stored()
	body := &source{}
	var err error
	for _, it := range items {
		body.Item = it
		err = m.to.Send(m.Queue, exchange.Item{Flags: it.Flags, Size: it.Size, Body: body})
		if err != nil {
			break
		}
	}
	if err == nil {
		err = m.to.Flush()
	}
	switch unknown := m.to.Sent(); {
	case err == nil:
		return nil
	case body.err != nil:
		return fmt.Errorf("source: %w", body.err)
	case unknown > 0:
		return fmt.Errorf("target: %w; the next %s may be in both", err,
			client.Count(int64(unknown), "item"))
	}
	return fmt.Errorf("target (an item of %s goes back to its place at the source): %w",
		client.Count(items[m.to.Stored()-before].Size, "byte"), err)
}

// source is the body of an item, and remembers why it could not be read.
type source struct {
	*client.Item
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Item.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Rest asks the source what is left in queues, or in all queues if none are given.
func Rest(ctx context.Context, source string, queues []string) (left []Left, err error) {
	s, err := stats(ctx, source)
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
