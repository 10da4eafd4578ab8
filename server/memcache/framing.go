package memcache

// Where a request line ends, and where a body ends.

import "bytes"

// LineMax is the longest request line in bytes, without its end.
const LineMax = 8 << 10

const (
	lineTooLong  = "CLIENT_ERROR line too long\r\n"
	badDataChunk = "CLIENT_ERROR bad data chunk\r\n"
)

// nextLine takes a line, without its end, off the input. If there is none it sets need, or closes
// if more input would not help.
func (s *Session) nextLine() (line []byte, ok bool) {
	const longest = LineMax + len("\r\n")
	window := s.in[:min(len(s.in), longest)]
	end := bytes.IndexByte(window, '\n')
	if end < 0 && len(window) < longest {
		s.need = len(window) + 1
		return nil, false
	}
	if end >= 0 {
		line = window[:end]
		s.bareLine = end == 0 || line[end-1] != '\r'
		if !s.bareLine {
			line = line[:end-1]
		}
	}
	if end < 0 || len(line) > LineMax {
		s.fail(lineTooLong)
		return nil, false
	}
	s.in = s.in[end+1:]
	return line, true
}

// bodyEnd looks for \r\n or \n at offset n of the input, after a body whose last n bytes are there,
// and returns its length. If it is not there it sets need, or gives up the request and closes.
func (s *Session) bodyEnd(n int) (length int, ok bool) {
	switch rest := s.in[min(n, len(s.in)):]; {
	case len(rest) == 0:
		s.need = n + 1
	case rest[0] == '\n' && s.splitsLineEnd(n):
		s.badChunk()
	case rest[0] == '\n':
		return 1, true
	case rest[0] != '\r':
		s.badChunk()
	case len(rest) == 1:
		s.need = n + 2
	case rest[1] == '\n':
		return 2, true
	default:
		s.badChunk()
	}
	return 0, false
}

// splitsLineEnd reports whether a body that \n follows ends with the \r of the same line end: it is
// one byte shorter than was announced. A client that ends its lines with \n alone may mean the \r.
func (s *Session) splitsLineEnd(n int) bool {
	last := s.set.last
	if n > 0 {
		last = s.in[n-1]
	}
	return last == '\r' && !s.bareLine
}

// badChunk closes, since nobody knows where the next request starts.
func (s *Session) badChunk() { s.fail(badDataChunk) }
