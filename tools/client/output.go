package client

// The sinks of darner get: standard output, and a command for each item.

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"unicode/utf8"

	"github.com/darner/darner/tools/exchange"
)

// Output is a sink that writes items. An item is safe when the whole of it is written: in a pipe,
// when the pipe has it.
type Output struct {
	queue string
	out   io.Writer
	large bool         // the current item is streamed
	part  int64        // bytes of it that are in the output
	batch bytes.Buffer // else items are written together
	ends  []int        // of its items
	enc   exchange.Encoder
}

// NewOutput returns a sink that writes the items of a queue to out.
func NewOutput(queue string, out io.Writer, f Framing) *Output {
	o := &Output{queue: queue, out: out}
	o.enc = f.encoder(outputWriter{o})
	return o
}

// outputWriter is where the encoder writes to.
type outputWriter struct{ o *Output }

func (w outputWriter) Write(p []byte) (int, error) {
	if w.o.large {
		n, err := w.o.out.Write(p)
		w.o.part += int64(n)
		return n, err
	}
	return w.o.batch.Write(p)
}

// Put writes items.
func (o *Output) Put(items []*Item) (int, error) {
	o.batch.Reset()
	o.ends = o.ends[:0]
	if o.large = items[0].Bytes() == nil; o.large {
		return o.stream(items[0])
	}
	for _, it := range items {
		if err := o.encode(it, utf8.Valid(it.Bytes())); err != nil {
			return 0, err
		}
		o.ends = append(o.ends, o.batch.Len())
	}
	n, err := o.out.Write(o.batch.Bytes())
	if err == nil {
		return len(items), nil
	}
	done, begin := 0, 0
	for done < len(items) && o.ends[done] <= n {
		begin = o.ends[done]
		done++
	}
	if done == len(items) {
		return done, err
	}
	return done, o.stays(items[done], int64(n-begin), err)
}

func (o *Output) encode(it *Item, text bool) error {
	err := o.enc.Encode(exchange.Item{Seq: it.Sequence, Flags: it.Flags, Size: it.Size, Text: text,
		Body: it})
	return first(err, o.enc.Flush())
}

// stream writes an item that is not in memory.
func (o *Output) stream(it *Item) (int, error) {
	o.part = 0
	if err := o.encode(it, false); err != nil {
		return 0, o.stays(it, o.part, err)
	}
	return 1, nil
}

// stays says that an item could not be written, and how much of the output's end belongs to it.
func (o *Output) stays(it *Item, part int64, err error) error {
	return fmt.Errorf("an item of %s stays in %s; its part in the output has %s: %w",
		Count(it.Size, "byte"), o.queue, Count(part, "byte"), err)
}

// Command is a sink that runs a shell command for each item, which reads the item from its standard
// input. It runs when all of the item is here: a large one is spooled, so that no command takes a
// part for the whole. An item is safe when its command has succeeded.
type Command struct{ Shell string }

// Put runs the command for each item.
func (c Command) Put(items []*Item) (int, error) {
	for i, it := range items {
		if err := c.run(it); err != nil {
			return i, err
		}
	}
	return len(items), nil
}

func (c Command) run(it *Item) error {
	input := sized{Reader: it, close: nothing}
	if it.Bytes() == nil {
		var err error
		if input, err = spoolFile(it); err != nil {
			return err
		}
	}
	defer input.close()
	cmd := exec.Command("sh", "-c", c.Shell)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input.Reader, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("an item of %s stays in the queue: the command failed: %w",
			Count(it.Size, "byte"), err)
	}
	return nil
}
