// Package bench puts load on queue servers and measures how they answer. It holds the suites of
// darner bench. One small loop drives every protocol, so that servers can be compared. The servers
// take turns, so that each ratio is of measurements that are close in time.
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

// Options says what is measured, and how.
type Options struct {
	// Server is HOST:PORT or the path of a Unix socket. A protocol may precede it, as in
	// redis://HOST:PORT.
	Server  string
	Compare []string // further servers

	// Queue must be empty, and is deleted in the end. So is the queue of this name and "-large".
	Queue string

	Size        int           // bytes of an item, in all suites except sizes
	Payload     string        // file that items are cut from; empty: random bytes
	Duration    time.Duration // of each measurement
	Rounds      int           // every server has its turn in each
	Connections []int         // flood uses all, other suites the first; none: the suite's default
	Depth       []int         // requests in flight on each connection; used like Connections
	Backlog     []int64       // packing, memory: numbers of items in the queue, ascending
	Sizes       []int         // sizes: bytes of an item, for each measurement
	Rate        []float64     // latency uses all, fairness the first: requests/s
	Large       int           // fairness: bytes of a large item
	Streams     int           // fairness: connections that move large items

	Out      io.Writer    // receives each table when it is complete
	Progress func(string) // called with what is being done now, "" for nothing; may be nil
}

// Suites returns the names of all suites, in the order in which they run.
func Suites() []string {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

// Run runs suites, by their names. An error is a wrong answer, which it quotes, or the end of ctx.
// The report then holds the suites that were complete.
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
		if err := b.deleteQueues(ctx); err != nil { // the next suite starts with empty queues
			return report, err
		}
	}
	return report, nil
}

// bench is one run of some suites.
type bench struct {
	Options
	targets []*target // all others are compared with the first
	items   *items
	large   *items
}

// check returns what is wrong with the options.
func (b *bench) check(names []string) error {
	for _, name := range names {
		if !slices.Contains(Suites(), name) {
			return fmt.Errorf("there is no suite %q: choose from %s", name,
				strings.Join(Suites(), ", "))
		}
	}
	if err := datadir.CheckName(b.Queue); err != nil {
		return fmt.Errorf("%q cannot be a queue's name: %w", b.Queue, err)
	}
	switch {
	case b.Size < 0 || b.Large < 0:
		return errors.New("the size of an item cannot be negative")
	case len(b.Sizes) == 0 || slices.Min(b.Sizes) < 0:
		return errors.New("sizes must be given, and cannot be negative")
	case b.Duration <= 0 || b.Rounds < 1 || b.Streams < 1:
		return errors.New("the duration, rounds and streams must be above 0")
	case len(b.Connections) > 0 && slices.Min(b.Connections) < 1,
		len(b.Depth) > 0 && slices.Min(b.Depth) < 1:
		return errors.New("connections and requests in flight must be above 0")
	case len(b.Backlog) == 0 || !slices.IsSorted(b.Backlog) || b.Backlog[0] < 0:
		return errors.New("backlogs must ascend from 0 or more")
	case len(b.Rate) == 0 || slices.Min(b.Rate) <= 0:
		return errors.New("a rate must be above 0")
	}
	return nil
}

// prepare makes the items, and checks that all servers answer and that their queues are empty.
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
			a, err := t.ask(ctx, queue)
			if err != nil {
				return err
			}
			if a.items > 0 {
				return fmt.Errorf("queue %s of %s is not empty: name another with --queue",
					queue, t.address)
			}
			t.info = a
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

// names returns the names of the servers.
func (b *bench) names() []string {
	var all []string
	for _, t := range b.targets {
		all = append(all, t.name)
	}
	return all
}

// queues returns the names of the queues that are used.
func (b *bench) queues() []string { return []string{b.Queue, b.Queue + "-large"} }

// deleteQueues deletes the queues of all servers.
func (b *bench) deleteQueues(ctx context.Context) error {
	for _, t := range b.targets {
		for _, queue := range b.queues() {
			if err := t.remove(ctx, queue); err != nil {
				return fmt.Errorf("deleting queue %s of %s: %w", queue, t.name, err)
			}
		}
	}
	return nil
}

// cleanUp deletes the queues, even if ctx has ended.
func (b *bench) cleanUp(ctx context.Context) error {
	b.say("deleting the queue")
	defer b.say("")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*answerTimeout)
	defer cancel()
	return b.deleteQueues(ctx)
}

// say reports progress.
func (b *bench) say(format string, args ...any) {
	if b.Progress != nil {
		b.Progress(fmt.Sprintf(format, args...))
	}
}

// runLoad puts a load on a server. It completes l with what all loads have in common.
func (b *bench) runLoad(ctx context.Context, t *target, l load) (result, error) {
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

// firstOr returns the first of the given values, or the suite's default.
func firstOr[T any](given []T, def T) T {
	if len(given) > 0 {
		return given[0]
	}
	return def
}
