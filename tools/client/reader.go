package client

// Reading a queue reliably and fast: in each round, a Reader confirms the items that it has handed
// out and asks for as many again, all in one go, and the server answers in the queue's order.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

const (
	// DefaultPrefetch is how many items a Reader has open by default, at most.
	DefaultPrefetch = 128

	// MaxPrefetch is how many a server opens ahead for a connection, at most.
	MaxPrefetch = 1024

	// batchBytes bounds the items that are held in memory. A larger one is streamed.
	batchBytes = 1 << 20

	// roundBytes bounds the requests of a round. The connection must take them while the server
	// waits for its answers to be read.
	roundBytes = 32 << 10
)

// Reader takes the items of one queue, in order. It is for one goroutine at a time. After an error
// it can only be closed.
type Reader struct {
	c        *Client
	address  string
	queue    string
	prefetch int     // open items at most
	window   int     // items to ask for in the next round
	verb     string  // gets; get where the server does not know that
	knows    bool    // what the server knows has been found out
	due      int     // answers of this round that have not been read
	next     *Item   // the first item that is not handed out: memory had no room for it
	open     []*Item // handed out in this round, and not confirmed
	batch    []*Item // those of them that were handed out last
	buf      []byte  // bodies of the batch
	failed   error   // to be returned after the batch
}

// NewReader connects to a server. It will have up to prefetch items open, but no more than
// MaxPrefetch, or than the server opens ahead.
func NewReader(ctx context.Context, address, queue string, prefetch int) (*Reader, error) {
	if err := CheckName(queue); err != nil {
		return nil, err
	}
	c, err := Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &Reader{c: c, address: address, queue: queue, window: 1, verb: "gets",
		prefetch: min(max(prefetch, 1), MaxPrefetch)}, nil
}

// Close ends the connection. What is not confirmed goes back to its place in the queue.
func (r *Reader) Close() { r.c.Close() }

// Next confirms the items before when all of a round are handed out, and returns the next ones:
// limit of them at most, and none if there is none. When everything is confirmed it waits for an
// item, up to wait. If ctx ends the wait, it returns ctx's error. The items are valid until the
// next call.
func (r *Reader) Next(ctx context.Context, limit int, wait time.Duration) ([]*Item, error) {
	if r.failed != nil {
		return nil, r.settleAfter(r.failed, len(r.batch))
	}
	if err := r.hand(); err != nil || len(r.batch) > 0 {
		return r.handed(err)
	}
	if len(r.open) > 0 {
		err := r.round(limit)
		if err == nil {
			err = r.hand()
		}
		if err != nil || len(r.batch) > 0 || wait == 0 {
			return r.handed(err)
		}
	}
	err := r.await(ctx, wait)
	if err == nil {
		err = r.hand()
	}
	return r.handed(err)
}

// handed returns the batch, and keeps an error behind it for the next call.
func (r *Reader) handed(err error) ([]*Item, error) {
	if len(r.batch) == 0 {
		return nil, err
	}
	r.failed = err
	return r.batch, nil
}

// await waits for one item, with nothing open.
func (r *Reader) await(ctx context.Context, wait time.Duration) error {
	open := "/open"
	if wait > 0 {
		open = "/t=" + strconv.FormatInt(max(wait.Milliseconds(), 1), 10) + open
	}
	stop := r.c.interruptible(ctx)
	err := r.c.request("%s %s%s", r.verb, r.queue, open)
	if err == nil {
		r.due = 1
		err = r.answer()
	}
	if !stop() {
		return ctx.Err()
	}
	if _, refused := err.(ServerError); refused && !r.knows && r.verb == "gets" {
		return r.withoutGets(ctx, wait)
	}
	return err
}

// withoutGets tries again with a server that may not know gets, and may have hung up.
func (r *Reader) withoutGets(ctx context.Context, wait time.Duration) error {
	c, err := Dial(ctx, r.address)
	if err != nil {
		return err
	}
	r.c.Close()
	r.c, r.verb, r.prefetch = c, "get", 1
	return r.await(ctx, wait)
}

// round confirms everything, and asks for up to limit more items, as many as the window says.
func (r *Reader) round(limit int) error {
	r.resize()
	if r.window > 1 && !r.knows {
		if err := r.learn(); err != nil {
			return err
		}
	}
	ask := min(r.window, limit)
	ahead := ""
	if ask > 1 {
		ahead = "/ahead"
	}
	r.askClose(len(r.open))
	for range ask {
		fmt.Fprintf(r.c.w, "%s %s/open%s\r\n", r.verb, r.queue, ahead)
	}
	if err := broke(r.c.w.Flush()); err != nil {
		return err
	}
	if err := r.closed(); err != nil {
		return err
	}
	r.due = ask
	return nil
}

// resize sets the window by what the round before brought: twice as many if it brought all that was
// asked for, and no more than memory has room for.
func (r *Reader) resize() {
	total := int64(0)
	for _, it := range r.open {
		total += it.Size
	}
	got := len(r.open)
	if got >= r.window {
		r.window = 2 * got
	} else {
		r.window = got + 1
	}
	most := roundBytes / (len(r.queue) + len("gets /open/ahead") + len("get /close") + 4)
	if total > 0 {
		most = min(most, int(max(1, int64(got)*batchBytes/total)))
	}
	r.window = max(1, min(r.window, r.prefetch, most))
}

// learn finds out whether the server opens items ahead.
func (r *Reader) learn() error {
	r.knows = true
	_, most, err := r.c.askedAhead()
	r.prefetch = min(r.prefetch, max(most, 1))
	r.window = min(r.window, r.prefetch)
	return err
}

// askClose asks to confirm n items.
func (r *Reader) askClose(n int) {
	for range n {
		fmt.Fprintf(r.c.w, "get %s/close\r\n", r.queue)
	}
}

// closed reads the answers to that, one for each open item.
func (r *Reader) closed() error {
	all := r.open
	for i := range all {
		if err := r.c.expect("END"); err != nil {
			return err
		}
		r.open = all[i+1:]
	}
	r.open, r.batch = all[:0], nil
	return nil
}

// answer reads answers until an item comes, if one does, and notes it as the next. Its body is
// still to be read.
func (r *Reader) answer() error {
	for r.next == nil && r.due > 0 {
		line, err := r.c.line()
		r.due--
		if err != nil {
			return err
		}
		if string(line) == "END" {
			continue
		}
		it := &Item{from: r.c}
		if !it.parse(line) {
			return unexpected(string(line))
		}
		r.next = it
	}
	return nil
}

// hand hands out the next items of the round: those that memory has room for, or a large one.
func (r *Reader) hand() error {
	if err := r.skip(); err != nil {
		return err
	}
	begin := len(r.open)
	r.batch, r.buf = nil, r.buf[:0]
	for {
		if err := r.answer(); err != nil || r.next == nil {
			return err
		}
		it, large := r.next, int64(len(r.buf))+r.next.Size > batchBytes
		if large && len(r.batch) > 0 {
			return nil // in the next batch it may have room
		}
		if !large {
			var err error
			if r.buf, err = it.load(r.buf); err != nil {
				return err
			}
		}
		r.next = nil
		r.open = append(r.open, it)
		if r.batch = r.open[begin:]; large {
			return nil
		}
	}
}

// skip reads what is left of the item handed out last, if that is a large one.
func (r *Reader) skip() error {
	if n := len(r.batch); n > 0 {
		return r.batch[n-1].Skip()
	}
	return nil
}

// Settle confirms everything up to the n-th item of the last batch. After it, if that was not all
// or there was an error before, only Close may follow, which gives the others back.
func (r *Reader) Settle(n int) error {
	r.open = r.open[:len(r.open)-len(r.batch)+n]
	if len(r.open) == 0 {
		return nil
	}
	if err := first(r.skip(), r.drop()); err != nil {
		return err
	}
	r.askClose(len(r.open))
	return first(broke(r.c.w.Flush()), r.closed())
}

// settleAfter settles after an error, which is likely to be the reason when that fails too.
func (r *Reader) settleAfter(err error, n int) error {
	settled := r.Settle(n)
	if err == nil || !errors.Is(err, ErrNoServer) {
		return both(err, settled)
	}
	return err
}

// drop reads what the server still answers in this round. These items will be given back.
func (r *Reader) drop() error {
	for {
		err := r.answer()
		if IsRefusal(err) {
			continue
		}
		if err != nil || r.next == nil {
			return err
		}
		if err := r.next.Skip(); err != nil {
			return err
		}
		r.next = nil
	}
}

// Unconfirmed returns the items that a sink has and that the server may deliver again.
func (r *Reader) Unconfirmed() (items []*Item) {
	for _, it := range r.open {
		if it.safe {
			items = append(items, it)
		}
	}
	return items
}

// Skip reads what is left of the body.
func (it *Item) Skip() error {
	if it.done {
		return nil
	}
	_, err := io.Copy(io.Discard, it)
	return err
}

// first returns the first error of two.
func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// both returns an error that says what two say, in one line.
func both(a, b error) error {
	if a == nil || b == nil {
		return first(a, b)
	}
	return fmt.Errorf("%w; and %w", a, b)
}
