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
	"time"
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
}

// Dump writes a line for each record: sequence number, when it was set, when it expires, flags,
// size, state and payload. A dash stands for no value. Memory does not depend on the number of
// records.
func (r *Reading) Dump(w io.Writer, o DumpOptions) error {
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(out, "%10s  %-24s  %-24s  %10s  %10s  %-7s  %s\n", "sequence", "set", "expires",
		"flags", "size", "state", "payload")
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
		if err := writeRecord(out, rec, o.As); err != nil {
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

func writeRecord(out *bufio.Writer, r *Record, as PayloadAs) error {
	if r.State == Damaged {
		_, err := fmt.Fprintf(out, "%10s  %-24s  %-24s  %10s  %10s  %-7s  %s\n", numbers(r), "-",
			"-", "-", "-", r.State, place(r, r.Err))
		return err
	}
	fmt.Fprintf(out, "%10d  %-24s  %-24s  %10d  %10d  %-7s  ", r.Seq, stamp(r.Enqueued),
		stamp(r.Expires), r.Flags, r.Size, r.State)
	if err := writePayload(out, r, as); err != nil {
		return err
	}
	return out.WriteByte('\n')
}

// writePayload writes a payload as far as it can be read, and the reason if that is not all. The
// error is the writer's.
func writePayload(out *bufio.Writer, r *Record, as PayloadAs) error {
	body, err := r.Payload()
	if err == nil {
		defer body.Close()
		to := encoder(out, as)
		_, err = io.Copy(to, body)
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

// stamp writes a time in Unix ms.
func stamp(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

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
