package exchange

import (
	"errors"
	"io"
	"unicode/utf8"

	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/wal/inspect"
)

// Exported counts what an export did.
type Exported struct {
	Items, Bytes int64
	Damaged      int64 // items and ranges that were left out, because they cannot be read
}

// Export writes every item of the queue, in order. This includes expired items, but not items that
// were taken. It leaves out what cannot be read, and calls damaged for it.
func Export(r *items.Reading, to Encoder,
	damaged func(*items.Record, error)) (done Exported, err error) {
	for rec, err := range r.Records() {
		if err != nil {
			return done, errors.Join(err, to.Flush())
		}
		if rec.State == items.Taken {
			continue
		}
		text, err := false, rec.Err
		if err == nil {
			text, err = probe(rec)
		}
		switch {
		case err == nil:
		case rec.State == items.Damaged, errors.Is(err, inspect.ErrDamaged):
			damaged(rec, err)
			done.Damaged++
			continue
		default:
			return done, errors.Join(err, to.Flush())
		}
		if err := exportOne(rec, text, to); err != nil {
			return done, err
		}
		done.Items++
		done.Bytes += rec.Size
	}
	return done, to.Flush()
}

func exportOne(rec *items.Record, text bool, to Encoder) error {
	body, err := rec.Payload()
	if err != nil {
		return err
	}
	defer body.Close()
	return to.Encode(Item{
		Seq: rec.Seq, Enqueued: rec.Enqueued, Expires: rec.Expires, Flags: rec.Flags,
		Size: rec.Size, Text: text, Body: body, Due: rec.Due, Origin: rec.Origin,
	})
}

// probe reads a payload to its end before any of it is written: to check that all of it can be
// read, and whether it is text.
func probe(rec *items.Record) (text bool, err error) {
	body, err := rec.Payload()
	if err != nil {
		return false, err
	}
	defer body.Close()
	var t textProbe
	if _, err := io.Copy(&t, body); err != nil {
		return false, err
	}
	return t.valid(), nil
}

// textProbe checks whether what is written to it is valid UTF-8.
type textProbe struct {
	rest   [utf8.UTFMax]byte // the beginning of a character whose end has not come yet
	n      int
	broken bool
}

func (t *textProbe) Write(p []byte) (int, error) {
	all := len(p)
	for t.n > 0 && len(p) > 0 && !t.broken { // complete the character
		t.rest[t.n] = p[0]
		t.n++
		p = p[1:]
		if utf8.FullRune(t.rest[:t.n]) {
			t.broken = !utf8.Valid(t.rest[:t.n])
			t.n = 0
		}
	}
	end := len(p)
	for back := 1; back < utf8.UTFMax && back <= len(p); back++ {
		if c := p[len(p)-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(p[len(p)-back:]) {
				end -= back
			}
			break
		}
	}
	t.broken = t.broken || !utf8.Valid(p[:end])
	if !t.broken && end < len(p) {
		t.n = copy(t.rest[:], p[end:])
	}
	return all, nil
}

func (t *textProbe) valid() bool { return !t.broken && t.n == 0 }
