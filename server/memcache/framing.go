package memcache

// Where a request line ends and where the bytes of a body do.

import "bytes"

// LineMax is the longest request line in bytes, its end not counted.
const LineMax = 8 << 10

const (
	lineTooLong  = "CLIENT_ERROR line too long\r\n"
	badDataChunk = "CLIENT_ERROR bad data chunk\r\n"
)

// line takes a line, without its end, off the input. Without one it says how much it needs, or
// closes if no more would help.
func (s *Session) line() (line []byte, ok bool) {
	const longest = LineMax + len("\r\n")
	window := s.in[:min(len(s.in), longest)]
	end := bytes.IndexByte(window, '\n')
	if end < 0 && len(window) < longest {
		s.need = len(window) + 1
		return nil, false
	}
	if end >= 0 {
		line = window[:end]
		if end > 0 && line[end-1] == '\r' {
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

// lineEnd looks for \r\n or \n at offset n of the input, behind a body of n bytes, and returns its
// length. Without it, it says how much it needs, or gives up the request and closes.
func (s *Session) lineEnd(n int) (length int, ok bool) {
	switch rest := s.in[min(n, len(s.in)):]; {
	case len(rest) == 0:
		s.need = n + 1
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

// badChunk closes: where the next request starts is anyone's guess.
func (s *Session) badChunk() {
	if s.body.noreply {
		s.state = Closing
		return
	}
	s.fail(badDataChunk)
}
