// Package requeue puts items that were moved to another queue, as dead letters are, back into the
// queues that they came from.
package requeue

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/darner/darner/tools/client"
	"github.com/darner/darner/tools/names"
)

// Options for a run.
type Options struct {
	To       string        // the queue to put items into; empty: the one that each came from
	Limit    int64         // how many to move at most; 0: all
	Progress func(n int64) // after each item that was moved; may be nil
}

// Moved counts what was moved to one queue.
type Moved struct {
	Queue        string
	Items, Bytes int64
}

// Result is what became of the items.
type Result struct {
	Moved []Moved // in the order in which the queues came up

	Stay  int64  // items that were passed over, since they do not say where they came from
	First uint64 // the number of the first of these

	Rest, Open int64 // other items that are there at the end; items that other clients have open
}

// Items is how many items were moved.
func (r *Result) Items() (n int64) {
	for _, m := range r.Moved {
		n += m.Items
	}
	return n
}

// Run moves the items that a queue has at the start, in their order. It opens an item, has it
// stored and synced where it goes, and only then confirms it. Whatever fails, each item is in one
// of the two queues, and at worst the last one is in both. Items that come meanwhile are left to
// the next run. The end of ctx ends the run between two items. The result counts also with an
// error.
func Run(ctx context.Context, address, queue string, o Options) (Result, error) {
	r := &run{Options: o, address: address, queue: queue, stays: make(map[uint64]bool)}
	defer r.close()
	err := r.connect(ctx)
	if err == nil {
		err = r.all(ctx)
	}
	if err == nil {
		err = r.giveBack()
	}
	if err == nil {
		err = r.countRest()
	}
	if n := r.Items(); err != nil && n > 0 {
		err = fmt.Errorf("after %s: %w", client.Count(n, "item"), err)
	}
	return r.Result, err
}

type run struct {
	Options
	Result
	address, queue string

	from *client.Client // opens one item at a time
	to   *client.Setter

	most string // max-deliveries of the queue; empty: it does not count them

	holder *client.Client  // has items open that stay, so that others come up; nil: there are none
	held   int             // how many
	stays  map[uint64]bool // their numbers, and those of items that it had open before

	stored client.Info // what was stored last and is not confirmed: it may come again
}

func (r *run) connect(ctx context.Context) (err error) {
	if r.from, err = client.Dial(ctx, r.address); err != nil {
		return err
	}
	if err = r.check(); err != nil {
		return err
	}
	if r.to, err = client.NewSetter(ctx, r.address); err == nil {
		r.to.Sync()
	}
	return err
}

// ErrSettings is for a queue whose settings do not go with what was asked for.
var ErrSettings = errors.New("the settings of the queue do not allow it")

// check refuses a queue that drops items that come back too often, as they do here if anything
// fails.
func (r *run) check() error {
	set, err := r.from.Settings(r.queue)
	if most := set["max-deliveries"]; most != "" && most != "0" {
		r.most = most
	}
	if err == nil && r.most != "" && set["dead-letter"] == "" {
		err = r.counts("an item that cannot be moved comes back")
	}
	return err
}

// counts is the error for what the queue would count as a delivery.
func (r *run) counts(what string) error {
	return fmt.Errorf("%w: %s, and that counts as one of the %s deliveries after which %s gives it "+
		"up; set max-deliveries = 0 for it and reload",
		ErrSettings, what, r.most, names.Printable(r.queue))
}

func (r *run) close() {
	if r.from != nil {
		r.from.Close()
	}
	if r.to != nil {
		r.to.Close()
	}
	if r.holder != nil {
		r.holder.Close()
	}
}

// all goes through as many items as there are at the start. What comes meanwhile comes after them.
func (r *run) all(ctx context.Context) error {
	items, _, err := r.count()
	if err != nil {
		return err
	}
	for n := int64(0); n < items && (r.Limit == 0 || r.Items() < r.Limit); {
		if err := ctx.Err(); err != nil {
			return err
		}
		head, ok, err := r.from.Info(r.queue)
		if err != nil || !ok {
			return err
		}
		done, err := r.next(ctx, head)
		if err != nil {
			return err
		}
		if done {
			n++
		}
	}
	return nil
}

// next moves the head or passes it over. It is not done if another client was quicker, or if the
// item came up before.
func (r *run) next(ctx context.Context, head client.Info) (done bool, err error) {
	switch {
	case r.To != "":
		return r.move(head, r.To)
	case head.From != nil && head.From.Queue != "":
		return r.move(head, head.From.Queue)
	}
	return r.passOver(ctx, head)
}

// count is how many items wait in the queue, and how many are open.
func (r *run) count() (items, open int64, err error) {
	q, err := r.from.QueueStats(r.queue)
	if err != nil {
		return 0, 0, err
	}
	items, _ = strconv.ParseInt(q.Figure["items"], 10, 64)
	open, _ = strconv.ParseInt(q.Figure["open_transactions"], 10, 64)
	return items, open, nil
}

// countRest counts what is left.
func (r *run) countRest() error {
	items, open, err := r.count()
	r.Rest, r.Open = max(0, items-r.Stay), open
	if err != nil {
		err = fmt.Errorf("all is done; how many items are left is not known: %w", err)
	}
	return err
}
