package items

// Dump: writes a line for each item on disk.

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/darner/darner/tools/names"
	"github.com/darner/darner/wal"
)

// PayloadAs says how a payload is written.
type PayloadAs string

const (
	AsText   PayloadAs = "text" // backslashes and unprintable characters are escaped as in Go
	AsHex    PayloadAs = "hex"
	AsBase64 PayloadAs = "base64"
)

// DumpOptions says which records are written, and how.
type DumpOptions struct {
	From   Point
	To     *Point  // the last record; nil: the end
	States []State // none: all
	Limit  int     // maximum number of records; 0: all
	As     PayloadAs
	// Width is how many columns a line may have: payloads are cut, and expiry and flags are left
	// out. 0 is no bound.
	Width int
}

// Dump writes a line for each record: sequence number, when it was set, when it expires, flags,
// size, state and payload; before the payload, where there is one, when it is due, where it was
// moved here from and why, and the consumer that it is for. A dash stands for no value. Memory does
// not depend on the number of records.
func (r *Reading) Dump(w io.Writer, o DumpOptions) error {
	out := bufio.NewWriterSize(w, 64<<10)
	l := layout{o.As, o.Width, r.taken.Noted() > 0}
	out.WriteString(l.columns("sequence", "set", "expires", "flags", "size", "state", "delivered") +
		"payload\n")
	n := 0
	for rec, err := range r.Records() {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		if o.To != nil && past(*o.To, rec) {
			break
		}
		if !o.From.reached(rec) || !o.wants(rec.State) {
			continue
		}
		if err := l.writeRecord(out, rec); err != nil {
			return err
		}
		if n++; n == o.Limit {
			break
		}
	}
	return out.Flush()
}

func (o *DumpOptions) wants(s State) bool {
	for _, w := range o.States {
		if w == s {
			return true
		}
	}
	return len(o.States) == 0
}

// past reports whether a record comes after the point.
func past(p Point, r *Record) bool {
	if p.Time != 0 {
		return r.State != Damaged && r.Enqueued > p.Time
	}
	return r.Seq > p.Seq
}

// layout says what a line looks like.
type layout struct {
	as    PayloadAs
	width int  // 0: any
	noted bool // some items have a note of their deliveries
}

// columns are those ahead of the payload.
func (l layout) columns(sequence, set, expires, flags, size, state, delivered string) string {
	columns := fmt.Sprintf("%10s  %-24s  %-24s  %10s  %10s  %-7s  ", sequence, set, expires, flags,
		size, state)
	if l.width > 0 {
		columns = fmt.Sprintf("%10s  %-20s  %10s  %-7s  ", sequence, set, size, state)
	}
	if l.noted {
		columns += fmt.Sprintf("%9s  ", delivered)
	}
	return columns
}

// stamp writes a time in Unix ms.
func (l layout) stamp(ms int64) string {
	format := "2006-01-02T15:04:05.000Z"
	switch {
	case ms == 0:
		return "-"
	case l.width > 0:
		format = "2006-01-02T15:04:05Z"
	}
	return time.UnixMilli(ms).UTC().Format(format)
}

func (l layout) writeRecord(out *bufio.Writer, r *Record) error {
	delivered := "-"
	if r.Deliveries > 0 {
		delivered = fmt.Sprint(r.Deliveries)
	}
	columns := l.columns(numbers(r), "-", "-", "-", "-", string(r.State), delivered)
	if r.State != Damaged {
		columns = l.columns(numbers(r), l.stamp(r.Enqueued), l.stamp(r.Expires),
			fmt.Sprint(r.Flags), fmt.Sprint(r.Size), string(r.State), delivered) + l.note(r)
	}
	out.WriteString(columns)
	if l.width > 0 {
		out.WriteString(l.cut(r, max(l.width-len(columns), leastPayload)))
		return out.WriteByte('\n')
	}
	if err := writeContent(out, r, l.as, math.MaxInt64); err != nil {
		return err
	}
	return out.WriteByte('\n')
}

// note says of a record, ahead of its payload, what only few have: the time when it is due, where
// it came from, and the one consumer that it is for.
func (l layout) note(r *Record) (note string) {
	if r.Due != 0 {
		note = "due " + l.stamp(r.Due) + "  "
	}
	if r.Origin != nil {
		note += origin(r.Origin) + "  "
	}
	if r.Consumer != 0 {
		note += fmt.Sprintf("for consumer %d  ", r.Consumer)
	}
	return note
}

// origin says where an item came from and why.
func origin(o *wal.Origin) string {
	if *o == (wal.Origin{}) {
		return "moved here, from where is not known"
	}
	s := fmt.Sprintf("from %s, item %d, %s", names.Printable(o.Log), o.Seq, o.Why)
	if o.Deliveries > 0 {
		s += fmt.Sprintf(" after %d deliveries", o.Deliveries)
	}
	return s
}

// leastPayload is how many characters of a payload are written, however narrow the terminal is.
const leastPayload = 8

// cut returns the first n characters of a record's content.
func (l layout) cut(r *Record, n int) string {
	var b strings.Builder
	out := bufio.NewWriter(&b)
	writeContent(out, r, l.as, int64(n+1)*utf8.UTFMax)
	out.Flush()
	if text := []rune(b.String()); len(text) > n {
		return string(text[:n-1]) + "…"
	}
	return b.String()
}

// writeContent writes at most n bytes of a payload, or what is wrong with it.
func writeContent(out *bufio.Writer, r *Record, as PayloadAs, n int64) error {
	if r.State == Damaged {
		_, err := out.WriteString(place(r, r.Err))
		return err
	}
	return writePayload(out, r, as, n)
}

// writePayload writes the first n bytes of a payload as far as they can be read, and the reason if
// that is not all. The error is the writer's.
func writePayload(out *bufio.Writer, r *Record, as PayloadAs, n int64) error {
	body, err := r.Payload()
	if err == nil {
		defer body.Close()
		to := encoder(out, as)
		_, err = io.Copy(to, io.LimitReader(body, n))
		err = errors.Join(err, to.Close())
	}
	switch {
	case err == nil:
		return nil
	case r.State == Taken && errors.Is(err, fs.ErrNotExist):
		_, err = io.WriteString(out, "(the body was removed when the item was taken)")
		return err
	}
	_, err = fmt.Fprintf(out, "(%v)", err) // an error of the writer is returned again
	return err
}

func encoder(out *bufio.Writer, as PayloadAs) io.WriteCloser {
	switch as {
	case AsHex:
		return leaveOpen{hex.NewEncoder(out)}
	case AsBase64:
		return base64.NewEncoder(base64.StdEncoding, out)
	}
	return &textWriter{out: out}
}

type leaveOpen struct{ io.Writer }

func (leaveOpen) Close() error { return nil }

// numbers writes the number of an item, or the numbers that a damaged range held.
func numbers(r *Record) string {
	switch {
	case r.State != Damaged || r.Last == r.Seq:
		return fmt.Sprint(r.Seq)
	case r.Last < r.Seq:
		return "-"
	}
	return fmt.Sprintf("%d-%d", r.Seq, r.Last)
}

// Where says which items cannot be read, where they are, and why.
func (r *Record) Where(why error) string {
	if n := numbers(r); n != "-" {
		return "item " + n + ", " + place(r, why)
	}
	return place(r, why)
}

// place says where a record is, and why it cannot be read.
func place(r *Record, why error) string {
	switch {
	case r.File == "":
		return why.Error()
	case r.To == 0:
		return fmt.Sprintf("%s: %v", r.File, why)
	}
	return fmt.Sprintf("%s bytes %d-%d: %v", r.File, r.From, r.To, why)
}
