package main

// What a server does that has nothing to do.

import (
	"fmt"
	"syscall"
	"time"
)

func idle() error {
	fmt.Printf("| over %v | went to sleep | write calls | bytes written | CPU |\n|---|---:|---:|---:|---:|\n", settings.minutes)
	for _, k := range []struct {
		what string
		talk func(*client) error
		rest time.Duration
	}{
		{"never used", func(*client) error { return nil }, settle},
		{"a second after 10,000 sets and gets, queue not parked yet", busy, time.Second},
		{"after 10,000 sets and gets, queue parked", busy, parkTime},
		{"likewise, and a get waits", func(c *client) error {
			if err := busy(c); err != nil {
				return err
			}
			return send(c, "get q/t=3600000\r\n")
		}, parkTime},
	} {
		if err := inDir(func(data string) error { return idleAfter(data, k.what, k.talk, k.rest) }); err != nil {
			return err
		}
	}
	return nil
}

func busy(c *client) error {
	if err := c.fill("q", 10_000, settings.size); err != nil {
		return err
	}
	return c.drain("q", 10_000, settings.size)
}

func idleAfter(data, what string, talk func(*client) error, rest time.Duration) error {
	p, err := launch(data)
	if err != nil {
		return err
	}
	defer p.end(syscall.SIGKILL)
	c, err := dial(p.addr) // stays, and does nothing
	if err != nil {
		return err
	}
	defer c.Close()
	if err := talk(c); err != nil {
		return err
	}
	time.Sleep(rest)
	sleeps, calls, bytes, cpu := p.switches(), p.figure("io", "syscw"), p.figure("io", "write_bytes"), p.cpu()
	time.Sleep(settings.minutes)
	fmt.Printf("| %s | %d | %d | %d | %d ms |\n", what, p.switches()-sleeps,
		p.figure("io", "syscw")-calls, p.figure("io", "write_bytes")-bytes, (p.cpu() - cpu).Milliseconds())
	return nil
}
