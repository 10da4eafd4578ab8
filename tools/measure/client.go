package main

// A client that keeps many requests in flight.

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
)

type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(addr string) *client {
	c, err := net.Dial("tcp", addr)
	check(err)
	return &client{c, bufio.NewReaderSize(c, 64<<10)}
}

func (c *client) send(request string) {
	_, err := io.WriteString(c.conn, request)
	check(err)
}

// flood sends a request n times and reads n answers of answer bytes each.
func (c *client) flood(n int, request string, answer int) {
	const batch = 512
	sent := make(chan error, 1)
	go func() {
		many := strings.Repeat(request, min(batch, n))
		var err error
		for left := n; left > 0 && err == nil; left -= batch {
			_, err = io.WriteString(c.conn, many[:min(left, batch)*len(request)])
		}
		sent <- err
	}()
	_, err := io.CopyN(io.Discard, c.r, int64(n)*int64(answer))
	check(err)
	check(<-sent)
}

// item returns a payload of size bytes.
func item(size int) string { return strings.Repeat("0123456789abcdef", size/16+1)[:size] }

func setOf(queue string, size int) string {
	return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", queue, size, item(size))
}

const stored = len("STORED\r\n")

// fill sets n items of size bytes.
func (c *client) fill(queue string, n, size int) { c.flood(n, setOf(queue, size), stored) }

// drain gets n items, which must be in the queue.
func (c *client) drain(queue string, n, size int) {
	c.flood(n, "get "+queue+"\r\n", valueOf(queue, size))
}

// valueOf is the length of the answer to a get of an item of size bytes.
func valueOf(queue string, size int) int {
	return len(fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", queue, size, item(size)))
}
