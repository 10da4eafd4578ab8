package bench

import (
	"bytes"
	"fmt"
)

// A dialect is the pair of requests a run is made of, as the server's protocol puts them.
type dialect struct {
	set, get     []byte
	stored, item reply
}

// newDialect puts an item of size bytes on a queue and takes it off again. To a cache the queue
// is a key like any other.
func newDialect(protocol, queue string, size int) (dialect, error) {
	payload := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	switch protocol {
	case "memcache":
		return dialect{
			set:    fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", queue, size, payload),
			stored: reply{want: []byte("STORED\r\n")},
			get:    fmt.Appendf(nil, "get %s\r\n", queue),
			item:   reply{want: fmt.Appendf(nil, "VALUE %s 0 %d\r\n%s\r\nEND\r\n", queue, size, payload)},
		}, nil
	case "redis":
		return dialect{
			set:    fmt.Appendf(nil, "*3\r\n$5\r\nLPUSH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(queue), queue, size, payload),
			stored: reply{want: []byte(":"), line: true}, // the length of the list
			get:    fmt.Appendf(nil, "*2\r\n$4\r\nRPOP\r\n$%d\r\n%s\r\n", len(queue), queue),
			item:   reply{want: fmt.Appendf(nil, "$%d\r\n%s\r\n", size, payload)},
		}, nil
	}
	return dialect{}, fmt.Errorf("protocol %q is neither memcache nor redis", protocol)
}
