package items

import (
	"bufio"
	"strconv"
	"unicode/utf8"
)

// textWriter writes text on one line. It escapes backslashes and what cannot be printed.
type textWriter struct {
	out  *bufio.Writer
	rest []byte // the beginning of a character whose end has not come yet
}

func (w *textWriter) Write(p []byte) (int, error) {
	b := append(w.rest, p...)
	for len(b) > 0 && utf8.FullRune(b) {
		b = b[w.character(b):]
	}
	w.rest = append([]byte(nil), b...)
	return len(p), nil // a bufio.Writer keeps its error until Flush
}

// Close writes the bytes left, which are not a whole character.
func (w *textWriter) Close() error {
	for b := w.rest; len(b) > 0; {
		b = b[w.character(b):]
	}
	w.rest = nil
	return nil
}

// character writes the first character of b and returns its length in b.
func (w *textWriter) character(b []byte) int {
	r, n := utf8.DecodeRune(b)
	switch {
	case r == '\\':
		w.out.WriteString(`\\`)
	case r == utf8.RuneError && n == 1:
		w.out.WriteString(`\x`)
		w.out.WriteByte("0123456789abcdef"[b[0]>>4])
		w.out.WriteByte("0123456789abcdef"[b[0]&15])
	case strconv.IsPrint(r):
		w.out.Write(b[:n])
	default:
		q := strconv.QuoteRune(r)
		w.out.WriteString(q[1 : len(q)-1])
	}
	return n
}
