package bench

// How a protocol handles a queue: the two requests that a load consists of, and what the answers
// mean.

import (
	"bytes"
	"fmt"
	"strconv"
)

// A dialect is how one protocol sets an item and gets one. A request may take two steps: beanstalkd
// reserves an item, which must then be deleted.
type dialect interface {
	// hello returns what a connection sends first, and the whole answer to it.
	hello(queue string) (says, hears string)
	set(queue string, item []byte) []byte
	get(queue string) []byte
	// meaning returns what the first line of an answer means. bytes is the length of the item that
	// follows it.
	meaning(k kind, line []byte) (m meaning, bytes int64)
	// tail returns what follows an item's bytes.
	tail() string
	// confirm returns the request that takes an item, given the line before it. It is nil if the
	// item is already taken.
	confirm(line []byte) []byte

	// info asks what the server is and what the queue holds.
	info(c *control, queue string) (info, error)
	// remove deletes the queue.
	remove(c *control, queue string) error
}

// kind is a kind of request.
type kind byte

const (
	set kind = iota
	get
	confirm
)

// meaning is what a line of an answer says.
type meaning byte

const (
	wrong meaning = iota // an unexpected answer
	done                 // stored, or confirmed
	empty                // there is no item
	item                 // its bytes follow
)

// memcache is Darner's protocol. In a cache the queue is a key like any other: a set overwrites it,
// and a get takes nothing.
type memcache struct{}

func (memcache) hello(string) (string, string) { return "", "" }

func (memcache) set(queue string, item []byte) []byte {
	return fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", queue, len(item), item)
}

func (memcache) get(queue string) []byte { return fmt.Appendf(nil, "get %s\r\n", queue) }

func (memcache) meaning(k kind, line []byte) (meaning, int64) {
	switch {
	case k == set:
		return meaningIf(done, string(line) == "STORED\r\n")
	case string(line) == "END\r\n":
		return empty, 0
	}
	return itemLength(line, "VALUE ")
}

func (memcache) tail() string          { return "\r\nEND\r\n" }
func (memcache) confirm([]byte) []byte { return nil }

// redis uses a list as the queue.
type redis struct{}

func (redis) hello(string) (string, string) { return "", "" }

func (redis) set(queue string, item []byte) []byte {
	return fmt.Appendf(nil, "*3\r\n$5\r\nLPUSH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(queue), queue,
		len(item), item)
}

func (redis) get(queue string) []byte {
	return fmt.Appendf(nil, "*2\r\n$4\r\nRPOP\r\n$%d\r\n%s\r\n", len(queue), queue)
}

func (redis) meaning(k kind, line []byte) (meaning, int64) {
	switch {
	case k == set:
		return meaningIf(done, line[0] == ':') // the length of the list
	case string(line) == "$-1\r\n":
		return empty, 0
	}
	return itemLength(line, "$")
}

func (redis) tail() string          { return "\r\n" }
func (redis) confirm([]byte) []byte { return nil }

// beanstalkd uses a tube as the queue. Its jobs are reserved, then deleted.
type beanstalkd struct{}

func (beanstalkd) hello(queue string) (says, hears string) {
	return "use " + queue + "\r\nwatch " + queue + "\r\nignore default\r\n",
		"USING " + queue + "\r\nWATCHING 2\r\nWATCHING 1\r\n"
}

func (beanstalkd) set(_ string, item []byte) []byte {
	return fmt.Appendf(nil, "put 0 0 600 %d\r\n%s\r\n", len(item), item)
}

func (beanstalkd) get(string) []byte { return []byte("reserve-with-timeout 0\r\n") }

func (beanstalkd) meaning(k kind, line []byte) (meaning, int64) {
	switch {
	case k == set:
		return meaningIf(done, bytes.HasPrefix(line, []byte("INSERTED ")))
	case k == confirm:
		return meaningIf(done, string(line) == "DELETED\r\n")
	case string(line) == "TIMED_OUT\r\n":
		return empty, 0
	}
	return itemLength(line, "RESERVED ")
}

func (beanstalkd) tail() string { return "\r\n" }

func (beanstalkd) confirm(line []byte) []byte {
	id, _, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("RESERVED ")), []byte(" "))
	return fmt.Appendf(nil, "delete %s\r\n", id)
}

// meaningIf returns m if the answer is as expected.
func meaningIf(m meaning, yes bool) (meaning, int64) {
	if yes {
		return m, 0
	}
	return wrong, 0
}

// itemLength reads the length of an item, which all three protocols put last on the line.
func itemLength(line []byte, prefix string) (meaning, int64) {
	if !bytes.HasPrefix(line, []byte(prefix)) {
		return wrong, 0
	}
	text := bytes.TrimSuffix(line, []byte("\r\n"))
	text = text[max(bytes.LastIndexByte(text, ' '), len(prefix)-1)+1:]
	n, err := strconv.ParseUint(string(text), 10, 62)
	if err != nil {
		return wrong, 0
	}
	return item, int64(n)
}
