package client

// How items are told apart in a file or a pipe.

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/tools/exchange"
)

// Framing is how items are told apart.
type Framing int

// Framings. Items with line ends do not survive Lines, those with NULs do not survive Null; the
// last two carry any bytes, and JSON the flags as well.
const (
	Bare   Framing = iota // one after the other; put: the whole input is an item
	Lines                 // a line feed after each
	Null                  // a NUL after each
	Length                // each after its length in 8 bytes, little-endian
	JSON                  // a line of JSON for each, as darner-fsck export writes it
)

// encoder returns what writes items to w.
func (f Framing) encoder(w io.Writer) exchange.Encoder {
	switch f {
	case Length:
		return exchange.NewRawEncoder(w)
	case JSON:
		return exchange.NewJSONEncoder(w)
	case Lines:
		return separated{w, []byte("\n")}
	case Null:
		return separated{w, []byte{0}}
	}
	return separated{w, nil}
}

// separated writes items with something after each.
type separated struct {
	w   io.Writer
	end []byte
}

func (s separated) Encode(it exchange.Item) error {
	_, err := io.Copy(s.w, it.Body)
	if err == nil && len(s.end) > 0 {
		_, err = s.w.Write(s.end)
	}
	return err
}

func (s separated) Flush() error { return nil }

// decoder returns what reads items from r. Call free when done.
func (f Framing) decoder(r io.Reader) (d exchange.Decoder, free func() error) {
	switch f {
	case Length:
		return exchange.NewRawDecoder(r), nothing
	case JSON:
		name := "darner-put-" + rand.Text() // nobody else can have made it
		spool := exchange.NewSpool(disk.OS{}, filepath.Join(os.TempDir(), name))
		return exchange.NewJSONDecoder(r, spool), spool.Close
	case Lines:
		return &split{bufio.NewReaderSize(r, 64<<10), '\n'}, nothing
	case Null:
		return &split{bufio.NewReaderSize(r, 64<<10), 0}, nothing
	}
	w := &whole{in: r}
	return w, w.free
}

// split reads items that end with a byte. The last one may lack it. It holds an item in memory.
type split struct {
	r   *bufio.Reader
	end byte
}

func (s *split) Decode() (exchange.Item, error) {
	item, err := s.r.ReadBytes(s.end)
	if err != nil && (err != io.EOF || len(item) == 0) {
		return exchange.Item{}, err
	}
	if err == nil {
		item = item[:len(item)-1]
	}
	return exchange.Item{Size: int64(len(item)), Body: bytes.NewReader(item)}, nil
}

// whole reads its input as one item.
type whole struct {
	in   io.Reader
	body *sized // nil: not read yet
}

func (w *whole) Decode() (exchange.Item, error) {
	if w.body != nil {
		return exchange.Item{}, io.EOF
	}
	body, err := size(w.in)
	w.body = &body
	return exchange.Item{Size: body.size, Body: body}, err
}

func (w *whole) free() error {
	if w.body == nil || w.body.close == nil {
		return nil
	}
	return w.body.close()
}
