package client

// An item, as a server delivers it, and its body.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Item is an open item: the server has set it aside for a Reader.
type Item struct {
	Flags    uint32
	Sequence uint64 // 0: the server does not tell
	Size     int64

	from *Client
	body []byte // of a small item, else nil
	left int64  // bytes that are not read yet
	done bool   // what follows the body has been read
	safe bool   // the sink has it: it need not come again
	sum  uint64 // of the body, once it is safe; 0: not known
}

// parse reads "VALUE <queue> <flags> <bytes> [<sequence>]".
func (it *Item) parse(line []byte) bool {
	words := bytes.Fields(line)
	if len(words) < 4 || len(words) > 5 || string(words[0]) != "VALUE" {
		return false
	}
	flags, errFlags := strconv.ParseUint(string(words[2]), 10, 32)
	size, errSize := strconv.ParseInt(string(words[3]), 10, 64)
	if len(words) == 5 {
		it.Sequence, _ = strconv.ParseUint(string(words[4]), 10, 64)
	}
	it.Flags, it.Size, it.left = uint32(flags), size, size
	return errFlags == nil && errSize == nil && size >= 0
}

// Bytes returns the body of an item that is in memory, or nil if it is not.
func (it *Item) Bytes() []byte { return it.body }

// Read reads the body. It returns io.EOF only after the whole body.
func (it *Item) Read(p []byte) (int, error) {
	if it.left == 0 {
		return 0, it.finish()
	}
	if it.body != nil {
		n := copy(p, it.body[it.Size-it.left:])
		it.left -= int64(n)
		return n, nil
	}
	n, err := it.from.r.Read(p[:min(int64(len(p)), it.left)])
	it.left -= int64(n)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		err = itemBrokeOff{it, noServer("the connection broke %s before the end of an item of %d: %w",
			Count(it.left, "byte"), it.Size, err)}
	}
	return n, err
}

// WriteTo writes what is left of the body, at once if it is in memory.
func (it *Item) WriteTo(w io.Writer) (int64, error) {
	if it.body == nil {
		return io.Copy(w, struct{ io.Reader }{it})
	}
	n, err := w.Write(it.body[it.Size-it.left:])
	it.left -= int64(n)
	return int64(n), err
}

// itemBrokeOff is the error of a body that the server did not send to its end.
type itemBrokeOff struct {
	item *Item
	error
}

func (e itemBrokeOff) Unwrap() error { return e.error }

// load reads the whole body into memory, at the end of buf.
func (it *Item) load(buf []byte) ([]byte, error) {
	at := len(buf)
	buf = append(buf, make([]byte, it.Size)...)
	if _, err := io.ReadFull(it, buf[at:]); err != nil {
		return buf, err
	}
	if err := it.finish(); err != io.EOF {
		return buf, err
	}
	it.body, it.left = buf[at:len(buf):len(buf)], it.Size
	return buf, nil
}

// finish reads what follows the body, and returns io.EOF.
func (it *Item) finish() error {
	if it.done {
		return io.EOF
	}
	for _, want := range []string{"", "END"} {
		if err := it.from.expect(want); err != nil {
			return err
		}
	}
	it.done = true
	return io.EOF
}

// Count writes a number of things: 1 item, 2 items.
func Count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
