package exchange

// Reading JSON Lines, including those of other programs: members may be in any order, and all
// except the payload may be missing. The payload is spooled, because the line may turn out to be
// broken after it.

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

type jsonDecoder struct {
	in    lineReader
	line  int64
	spool *Spool
}

// NewJSONDecoder returns a decoder of JSON Lines. Payloads pass through the spool.
func NewJSONDecoder(r io.Reader, s *Spool) Decoder {
	return &jsonDecoder{in: lineReader{bufio.NewReaderSize(r, 64<<10)}, spool: s}
}

func (d *jsonDecoder) Decode() (Item, error) {
	for {
		d.line++
		switch c, err := d.in.peek(); {
		case err == io.EOF:
			return Item{}, io.EOF
		case err == nil && c == '\n':
			d.in.ReadByte()
			continue
		}
		it, err := d.object()
		if err != nil {
			return Item{}, fmt.Errorf("line %d: %w", d.line, err)
		}
		return it, nil
	}
}

// object reads one object and the end of its line.
func (d *jsonDecoder) object() (it Item, err error) {
	if err := d.in.expect('{'); err != nil {
		return it, err
	}
	d.spool.Reset()
	size := int64(-1)
	seen := map[string]bool{}
	for {
		key, err := d.in.key()
		if err != nil {
			return it, err
		}
		if seen[key] {
			return it, fmt.Errorf("%q comes twice", key)
		}
		seen[key] = true
		if err := d.member(key, &it, &size); err != nil {
			return it, err
		}
		c, err := d.in.peek()
		if err != nil {
			return it, errBroken(err)
		}
		if c != ',' {
			break
		}
		d.in.ReadByte()
	}
	if err := d.in.end(); err != nil {
		return it, err
	}
	it.Size, it.Body = d.spool.Size(), d.spool.Reader()
	switch {
	case seen["text"] == seen["base64"]:
		err = errors.New(`there must be either "text" or "base64"`)
	case size >= 0 && size != it.Size:
		err = fmt.Errorf("the payload has %d bytes, and size says %d", it.Size, size)
	}
	return it, err
}

// member reads the value of a member.
func (d *jsonDecoder) member(key string, it *Item, size *int64) (err error) {
	switch key {
	case "text":
		return d.payload(func(r io.Reader) io.Reader { return r })
	case "base64":
		return d.payload(func(r io.Reader) io.Reader {
			return base64.NewDecoder(base64.StdEncoding, r)
		})
	}
	if key == "from" || key == "from_why" {
		return d.from(key, it)
	}
	number, err := d.in.number()
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	switch key {
	case "sequence":
		it.Seq, err = strconv.ParseUint(number, 10, 64)
	case "enqueued":
		it.Enqueued, err = strconv.ParseInt(number, 10, 64)
	case "expires":
		it.Expires, err = strconv.ParseInt(number, 10, 64)
	case "flags":
		var n uint64
		n, err = strconv.ParseUint(number, 10, 32)
		it.Flags = uint32(n)
	case "due":
		it.Due, err = strconv.ParseInt(number, 10, 64)
	case "from_sequence":
		origin(it).Seq, err = strconv.ParseUint(number, 10, 64)
	case "from_deliveries":
		var n uint64
		n, err = strconv.ParseUint(number, 10, 32)
		origin(it).Deliveries = uint32(n)
	case "from_enqueued":
		origin(it).Enqueued, err = strconv.ParseInt(number, 10, 64)
	case "from_expires":
		origin(it).Expires, err = strconv.ParseInt(number, 10, 64)
	case "size":
		*size, err = strconv.ParseInt(number, 10, 64)
	default:
		return fmt.Errorf("%q is not a member of an item", key)
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not a valid value", key, number)
	}
	return nil
}

// origin is where an item was moved from, of which nothing or some is read.
func origin(it *Item) *wal.Origin {
	if it.Origin == nil {
		it.Origin = new(wal.Origin)
	}
	return it.Origin
}

// from reads the name of the queue that an item was moved from, or why it was.
func (d *jsonDecoder) from(key string, it *Item) error {
	s, err := d.in.text(segment.MaxNote)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	o := origin(it)
	if key == "from_why" {
		for _, why := range []wal.Why{wal.Expired, wal.Undeliverable} {
			if s == why.String() {
				o.Why = why
			}
		}
		return nil
	}
	if queue, ok := datadir.QueueName(s); ok {
		s = queue
	}
	o.Log = s
	return nil
}

// payload copies a string to the spool.
func (d *jsonDecoder) payload(decode func(io.Reader) io.Reader) error {
	if err := d.in.expect('"'); err != nil {
		return err
	}
	s := &stringReader{in: d.in.Reader}
	_, err := io.Copy(d.spool, decode(s))
	if err == io.ErrUnexpectedEOF {
		err = errors.New("the base64 ends too early")
	}
	return err
}
