package exchange

// Bare payloads, each after its length in 8 bytes, little-endian. Everything else about an item is
// left out.

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

type rawEncoder struct{ out *bufio.Writer }

// NewRawEncoder returns an encoder that writes bare payloads to w.
func NewRawEncoder(w io.Writer) Encoder { return &rawEncoder{bufio.NewWriterSize(w, 64<<10)} }

func (e *rawEncoder) Flush() error { return e.out.Flush() }

func (e *rawEncoder) Encode(it Item) error {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(it.Size))
	e.out.Write(length[:])
	return copyBody(e.out, it)
}

type rawDecoder struct {
	in    *bufio.Reader
	body  *io.LimitedReader // the rest of the last item
	count int64
}

// NewRawDecoder returns a decoder of bare payloads.
func NewRawDecoder(r io.Reader) Decoder {
	in := bufio.NewReaderSize(r, 64<<10)
	return &rawDecoder{in: in, body: &io.LimitedReader{R: in}}
}

func (d *rawDecoder) Decode() (Item, error) {
	if _, err := io.Copy(io.Discard, d.body); err != nil {
		return Item{}, err
	}
	d.count++
	var b [8]byte
	if _, err := io.ReadFull(d.in, b[:]); err == io.EOF {
		return Item{}, io.EOF
	} else if err != nil {
		return Item{}, fmt.Errorf("item %d: the input breaks off in its length: %w", d.count, err)
	}
	length := binary.LittleEndian.Uint64(b[:])
	if length > math.MaxInt64 {
		return Item{}, fmt.Errorf("item %d: a length of %d bytes", d.count, length)
	}
	d.body.N = int64(length)
	return Item{Size: int64(length), Body: whole{d.body}}, nil
}

// whole returns an error for a body that ends early.
type whole struct{ *io.LimitedReader }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.LimitedReader.Read(p)
	if err == io.EOF && w.N > 0 {
		missing := "1 byte"
		if w.N > 1 {
			missing = fmt.Sprint(w.N, " bytes")
		}
		err = fmt.Errorf("the input breaks off %s before its end: %w", missing, io.ErrUnexpectedEOF)
	}
	return n, err
}
