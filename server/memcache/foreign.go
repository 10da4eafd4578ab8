package memcache

// Other protocols that come to the port: memcached's binary one, TLS and HTTP. They are hung up on
// at their first byte or line, and nothing behind it is done: any web page can have its reader's
// browser post commands to a port of the reader's machine.

import (
	"bytes"
	"sync/atomic"
)

// foreign is a protocol that is not served.
type foreign uint8

const (
	native foreign = iota // what is served
	binary
	tls
	http
	foreigns // how many there are
)

// The first byte of a request.
const (
	binaryRequest = 0x80
	tlsHandshake  = 0x16
)

var foreignTexts = [foreigns]string{
	binary: "a client speaks memcached's binary protocol, which is not served; set it to text",
	tls:    "a client speaks TLS, which is not served; connect without it",
	http: "a client speaks HTTP, which is not served; nothing that it sent was done. If it is a " +
		"browser, look what page it was on",
}

// foreignsSeen notes which were logged: such a client tries again and again.
type foreignsSeen [foreigns]atomic.Bool

// firstByte tells from the first byte of a connection which protocol it speaks.
func firstByte(b byte) foreign {
	switch b {
	case binaryRequest:
		return binary
	case tlsHandshake:
		return tls
	}
	return native
}

// isHTTP reports whether a line may be HTTP's. Every request ends with HTTP/1.1 or another version;
// HTTP/open is a queue with an option. A connection may also begin with a header, as Host: does.
func isHTTP(line []byte, first bool) bool {
	_, last := lastWord(line)
	if version, ok := bytes.CutPrefix(last, []byte("HTTP/")); ok {
		return len(version) == 0 || lower(version[0]) < 'a' || lower(version[0]) > 'z'
	}
	name, _ := nextWord(line)
	return first && bytes.IndexByte(name, ':') >= 0 // as no command has one
}

// hangUp closes without an answer, and logs each protocol once.
func (s *Session) hangUp(f foreign) {
	if !s.env.foreignsSeen[f].Swap(true) {
		s.env.Logger.Warn(foreignTexts[f]+" (logged once)", "peer", s.peer.Addr)
	}
	s.state = Closing
}
