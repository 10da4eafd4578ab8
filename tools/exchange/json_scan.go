package exchange

// Scanning the JSON tokens of an item on a line. It holds only a few bytes of any input in memory.

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

var errBreaksOff = errors.New("the line breaks off")

// errBroken replaces io.EOF in the middle of a line by an error that says so.
func errBroken(err error) error {
	if err == io.EOF {
		return errBreaksOff
	}
	return err
}

type lineReader struct{ *bufio.Reader }

// peek returns the next byte after white space, without reading it. A line feed is not white space.
func (l lineReader) peek() (byte, error) {
	for {
		c, err := l.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' {
			return c, l.UnreadByte()
		}
	}
}

// expect reads one byte, which must be want.
func (l lineReader) expect(want byte) error {
	c, err := l.peek()
	switch {
	case err != nil:
		return errBroken(err)
	case c == '\n':
		return errBreaksOff
	case c != want:
		return fmt.Errorf("%q where a %q belongs", c, want)
	}
	_, err = l.ReadByte()
	return err
}

// end reads the end of an object and of its line.
func (l lineReader) end() error {
	if err := l.expect('}'); err != nil {
		return err
	}
	switch c, err := l.peek(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	case c != '\n':
		return fmt.Errorf("%q after the object", c)
	}
	_, err := l.ReadByte()
	return err
}

// maxWord is longer than any key or number of an item.
const maxWord = 32

// key reads a key and the colon after it.
func (l lineReader) key() (string, error) {
	word, err := l.text(maxWord)
	if err == errTooLong {
		err = fmt.Errorf("%q... is not a member of an item", word)
	}
	if err != nil {
		return "", err
	}
	return word, l.expect(':')
}

var errTooLong = errors.New("the string is too long")

// text reads a string of less than most bytes. After errTooLong it is what was read of it.
func (l lineReader) text(most int64) (string, error) {
	if err := l.expect('"'); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(&stringReader{in: l.Reader}, most))
	if err == nil && int64(len(b)) == most {
		err = errTooLong
	}
	return string(b), err
}

// number reads the digits and signs of a whole number.
func (l lineReader) number() (string, error) {
	c, err := l.peek()
	var word []byte
	for err == nil && (c >= '0' && c <= '9' || c == '-') && len(word) < maxWord {
		word = append(word, c)
		l.ReadByte()
		c, err = l.ReadByte()
		if err == nil {
			err = l.UnreadByte()
		}
	}
	if err != nil {
		return "", errBroken(err)
	}
	if len(word) == 0 || c == '.' || c == 'e' || c == 'E' {
		return "", errors.New("a whole number belongs here")
	}
	return string(word), nil
}

// stringReader reads a string from after its first quote to its last quote, and unescapes it.
type stringReader struct {
	in   *bufio.Reader
	rest []byte // the rest of an escaped character that did not fit
	buf  [4]byte
	done bool
}

func (s *stringReader) Read(p []byte) (n int, err error) {
	for n < len(p) && !s.done {
		if len(s.rest) > 0 {
			k := copy(p[n:], s.rest)
			s.rest = s.rest[k:]
			n += k
			continue
		}
		c, err := s.in.ReadByte()
		if err != nil {
			return n, errBroken(err)
		}
		switch {
		case c == '"':
			s.done = true
		case c == '\n':
			return n, errBreaksOff
		case c < ' ':
			return n, fmt.Errorf("byte %#02x in a string", c)
		case c == '\\':
			if err := s.escape(); err != nil {
				return n, err
			}
		default:
			p[n] = c
			n++
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// escape reads the rest of an escape sequence after its backslash.
func (s *stringReader) escape() error {
	c, err := s.in.ReadByte()
	if err != nil {
		return errBroken(err)
	}
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode()
	case '\n':
		return errBreaksOff
	default:
		return fmt.Errorf("%q after a backslash", c)
	}
	s.buf[0] = c
	s.rest = s.buf[:1]
	return nil
}

// unicode reads the number of a character. JSON writes characters above 0xffff as two numbers.
func (s *stringReader) unicode() error {
	r, err := s.hex4()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(r) {
		var b [2]byte
		if _, err := io.ReadFull(s.in, b[:]); err != nil {
			return errBreaksOff
		}
		second := rune(0)
		if string(b[:]) == `\u` {
			if second, err = s.hex4(); err != nil {
				return err
			}
		}
		if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
			return errors.New("half of a pair of \\u escapes")
		}
	}
	s.rest = s.buf[:utf8.EncodeRune(s.buf[:], r)]
	return nil
}

func (s *stringReader) hex4() (rune, error) {
	var digits [4]byte
	if _, err := io.ReadFull(s.in, digits[:]); err != nil {
		return 0, errBreaksOff
	}
	var b [2]byte
	if _, err := hex.Decode(b[:], digits[:]); err != nil {
		if bytes.IndexByte(digits[:], '\n') >= 0 {
			return 0, errBreaksOff
		}
		return 0, fmt.Errorf("%q after \\u", digits)
	}
	return rune(b[0])<<8 | rune(b[1]), nil
}
