package main

// A client that keeps many requests in flight.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
)

type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// ask sends a request and returns the first line of the answer.
func (c *client) ask(request string) (string, error) {
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	return c.r.ReadString('\n')
}

// flood sends a request n times and reads n answers of so many bytes.
func (c *client) flood(n int, request string, answer int) error {
	const batch = 512
	sent := make(chan error, 1)
	go func() {
		many := []byte(strings.Repeat(request, min(batch, n)))
		for left := n; left > 0; left -= batch {
			if _, err := c.Write(many[:min(left, batch)*len(request)]); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	if _, err := io.CopyN(io.Discard, c.r, int64(n)*int64(answer)); err != nil {
		return err
	}
	return <-sent
}

const stored = len("STORED\r\n")

// item is what is set: lines that look like telemetry as far as length goes.
func item(size int) string { return string(bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]) }

func setOf(queue string, size int) string {
	return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", queue, size, item(size))
}

func gotOf(queue string, size int) int {
	return len(fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", queue, size, item(size)))
}

// fill sets n items.
func (c *client) fill(queue string, n, size int) error { return c.flood(n, setOf(queue, size), stored) }

// drain gets n items that are there.
func (c *client) drain(queue string, n, size int) error {
	return c.flood(n, "get "+queue+"\r\n", gotOf(queue, size))
}
