package exchange

// JSON Lines: one object on a line for each item. The payload is last: as "text" if it is valid
// UTF-8, else as "base64".
//
//	{"sequence":7,"enqueued":1769860800000,"expires":0,"flags":0,"size":5,"text":"hello"}
//
// Before the payload comes what only some items have: when one is due, and where one was moved from
// and why. The queue's name is written as that of its directory.
//
//	"due":1769860860000,
//	"from":"jobs","from_sequence":3,"from_why":"undeliverable","from_deliveries":5,
//	"from_enqueued":1769860700000,"from_expires":0,

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

type jsonEncoder struct{ out *bufio.Writer }

// NewJSONEncoder returns an encoder that writes JSON Lines to w.
func NewJSONEncoder(w io.Writer) Encoder {
	return &jsonEncoder{bufio.NewWriterSize(w, 64<<10)}
}

func (e *jsonEncoder) Flush() error { return e.out.Flush() }

func (e *jsonEncoder) Encode(it Item) error {
	fmt.Fprintf(e.out, `{"sequence":%d,"enqueued":%d,"expires":%d,"flags":%d,"size":%d,`, it.Seq,
		it.Enqueued, it.Expires, it.Flags, it.Size)
	if it.Due != 0 {
		fmt.Fprintf(e.out, `"due":%d,`, it.Due)
	}
	e.origin(it.Origin)
	var err error
	if it.Text {
		io.WriteString(e.out, `"text":"`)
		err = copyBody(textEncoder{e.out}, it)
	} else {
		io.WriteString(e.out, `"base64":"`)
		to := base64.NewEncoder(base64.StdEncoding, e.out)
		if err = copyBody(to, it); err == nil {
			err = to.Close()
		}
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(e.out, "\"}\n")
	return err
}

// origin writes where an item was moved from.
func (e *jsonEncoder) origin(o *wal.Origin) {
	if o == nil {
		return
	}
	io.WriteString(e.out, `"from":"`)
	textEncoder{e.out}.Write([]byte(shownName(o.Log)))
	fmt.Fprintf(e.out, `","from_sequence":%d,"from_why":"%s","from_deliveries":%d,`+
		`"from_enqueued":%d,"from_expires":%d,`, o.Seq, o.Why, o.Deliveries, o.Enqueued, o.Expires)
}

// shownName returns a queue's name as that of its directory, which is plain text. A name that no
// queue can have stays as it is, as far as it is text.
func shownName(name string) string {
	if dir, err := datadir.DirName(name); err == nil {
		return dir
	}
	return strings.ToValidUTF8(name, "?")
}

// copyBody copies a body, which must have the item's size.
func copyBody(w io.Writer, it Item) error {
	n, err := io.Copy(w, it.Body)
	if err == nil && n != it.Size {
		err = fmt.Errorf("item %d has %d bytes instead of %d", it.Seq, n, it.Size)
	}
	return err
}

// textEncoder writes the inside of a JSON string. It escapes only bytes below 0x80, so a write may
// end within a character.
type textEncoder struct{ out *bufio.Writer }

func (e textEncoder) Write(p []byte) (int, error) {
	from := 0
	for i, c := range p {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		e.out.Write(p[from:i])
		e.escape(c)
		from = i + 1
	}
	_, err := e.out.Write(p[from:])
	return len(p), err
}

func (e textEncoder) escape(c byte) {
	switch c {
	case '"', '\\':
		e.out.WriteByte('\\')
		e.out.WriteByte(c)
	case '\n':
		e.out.WriteString(`\n`)
	case '\r':
		e.out.WriteString(`\r`)
	case '\t':
		e.out.WriteString(`\t`)
	default:
		e.out.WriteString(`\u00`)
		e.out.WriteByte("0123456789abcdef"[c>>4])
		e.out.WriteByte("0123456789abcdef"[c&15])
	}
}
