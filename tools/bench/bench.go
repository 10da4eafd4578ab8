// Package bench puts load on queue servers and measures what they answer: the suites behind
// darner bench. The same small loop drives every protocol, so that servers can be held against
// each other; they take turns, so that their ratios are of one run.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/darner/darner/wal/datadir"
)

// Options say what is measured, and how.
type Options struct {
	Server  string   // HOST:PORT, or the path of a Unix socket; with a protocol in front as in redis://HOST:PORT
	Compare []string // further servers
	Queue   string   // must be empty, and is deleted in the end, as is the same name with "-large"

	Size        int           // bytes of an item, in all suites but sizes
	Payload     string        // file that items are cut from; "": random bytes
	Duration    time.Duration // of each measurement
	Rounds      int           // in each of which every server has its turn
	Connections []int         // flood takes all, other suites the first; none: the suite's own
	Depth       []int         // requests in flight on each; likewise
	Backlog     []int64       // packing, memory: items in the queue, ascending
	Sizes       []int         // sizes: bytes of an item
	Rate        []float64     // latency takes all, fairness the first: requests/s
	Large       int           // fairness: bytes of a large item
	Streams     int           // fairness: connections that move large items

	Out      io.Writer    // tables, as soon as there is one
	Progress func(string) // told what is being done; nil: nobody asks
}

// Suites are the names of what there is to run, in order.
func Suites() []string {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

// Run runs suites, by their names. What it returns is whole as far as it got when there is an
// error too: a wrong answer, which it quotes, or the end of ctx.
func Run(ctx context.Context, names []string, o Options) (report *Report, err error) {
	b := &bench{Options: o}
	if err := b.check(names); err != nil {
		return nil, err
	}
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.cleanUp(ctx)) }()
	report = b.report()
	if _, err := fmt.Fprintln(o.Out, report.heading(names)); err != nil {
		return report, err
	}
	for _, s := range suites {
		if !slices.Contains(names, s.name) {
			continue
		}
		rows, err := s.run(ctx, b)
		b.say("")
		if err != nil {
			return report, err
		}
		result := Suite{Name: s.name, Rows: rows, suite: s, servers: b.names()}
		result.compare()
		report.Suites = append(report.Suites, result)
		if err := result.write(o.Out); err != nil {
			return report, err
		}
		if err := b.empty(ctx); err != nil { // the next suite begins with nothing
			return report, err
		}
	}
	return report, nil
}

// bench is one run of some suites.
type bench struct {
	Options
	targets []*target // the one that all others are compared with comes first
	items   *items
	large   *items
}

// check finds what is wrong with the options.
func (b *bench) check(names []string) error {
	for _, name := range names {
		if !slices.Contains(Suites(), name) {
			return fmt.Errorf("there is no suite %q: take %s", name, strings.Join(Suites(), ", "))
		}
	}
	if err := datadir.CheckName(b.Queue); err != nil {
		return fmt.Errorf("%q cannot be a queue's name: %w", b.Queue, err)
	}
	switch {
	case b.Size < 0 || b.Large < 0:
		return errors.New("the size of an item cannot be negative")
	case len(b.Sizes) == 0 || slices.Min(b.Sizes) < 0:
		return errors.New("the sizes of items cannot be none, or negative")
	case b.Duration <= 0 || b.Rounds < 1 || b.Streams < 1:
		return errors.New("there must be a duration, a round and a stream")
	case len(b.Connections) > 0 && slices.Min(b.Connections) < 1, len(b.Depth) > 0 && slices.Min(b.Depth) < 1:
		return errors.New("there must be a connection, and a request in flight on it")
	case len(b.Backlog) == 0 || !slices.IsSorted(b.Backlog) || b.Backlog[0] < 0:
		return errors.New("backlogs must ascend from 0 or more")
	case len(b.Rate) == 0 || slices.Min(b.Rate) <= 0:
		return errors.New("a rate must be above 0")
	}
	return nil
}

// prepare makes the items, and sees that all servers are there and have nothing in the queue.
func (b *bench) prepare(ctx context.Context) error {
	from, err := payload(b.Payload, b.Size)
	if err != nil {
		return err
	}
	b.items = newItems(from, b.Size)
	seen := map[string]int{}
	for _, address := range append([]string{b.Server}, b.Compare...) {
		t, err := newTarget(address)
		if err != nil {
			return err
		}
		for _, queue := range b.queues() {
			a, err := t.look(ctx, queue)
			if err != nil {
				return err
			}
			if a.items > 0 {
				return fmt.Errorf("queue %s of %s is not empty: name another with --queue", queue, t.address)
			}
			t.about = a
		}
		t.name = t.product
		seen[t.name]++
		b.targets = append(b.targets, t)
	}
	for _, t := range b.targets {
		if seen[t.product] > 1 {
			t.name += " " + t.address
		}
	}
	return nil
}

// names are those of the servers.
func (b *bench) names() []string {
	var all []string
	for _, t := range b.targets {
		all = append(all, t.name)
	}
	return all
}

// queues are those that are used.
func (b *bench) queues() []string { return []string{b.Queue, b.Queue + "-large"} }

// empty deletes the queues.
func (b *bench) empty(ctx context.Context) error {
	for _, t := range b.targets {
		for _, queue := range b.queues() {
			if err := t.remove(ctx, queue); err != nil {
				return fmt.Errorf("deleting queue %s of %s: %w", queue, t.name, err)
			}
		}
	}
	return nil
}

// cleanUp empties the queues also when ctx has ended.
func (b *bench) cleanUp(ctx context.Context) error {
	b.say("deleting the queue")
	defer b.say("")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*stuck)
	defer cancel()
	return b.empty(ctx)
}

func (b *bench) say(format string, args ...any) {
	if b.Progress != nil {
		b.Progress(fmt.Sprintf(format, args...))
	}
}

// put puts a load on a server; what says about it is what is special.
func (b *bench) put(ctx context.Context, t *target, l load) (result, error) {
	l.address, l.dialect, l.loop = t.address, t.dialect, newLoop
	if l.items == nil {
		l.queue, l.items = b.Queue, b.items
	}
	r, err := l.run(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%s: %w", t.name, err)
	}
	return r, err
}

// first of a list that was asked for, or what the suite takes otherwise.
func first[T any](asked []T, otherwise T) T {
	if len(asked) > 0 {
		return asked[0]
	}
	return otherwise
}
