package main

// Memory against the number of connections that do nothing.

import (
	"fmt"
	"syscall"
	"time"
)

func clients() error {
	fmt.Printf("| %d connections that | RssAnon | each |\n|---|---:|---:|\n", settings.count)
	for _, k := range []struct {
		what string
		talk func(*client) error
	}{
		{"never sent anything", func(*client) error { return nil }},
		{"set and got 10 items, then fell silent", chat(10, 300)},
		{"set and got items of 8 KiB, then fell silent", chat(3, 8<<10)},
		{"wait in a get", func(c *client) error { return send(c, "get w/t=600000\r\n") }},
	} {
		if err := inDir(func(data string) error { return clientsThat(data, k.what, k.talk) }); err != nil {
			return err
		}
	}
	return nil
}

func send(c *client, request string) error {
	_, err := c.Write([]byte(request))
	return err
}

// chat sets and gets n items.
func chat(n, size int) func(*client) error {
	return func(c *client) error {
		for range n {
			if err := c.fill("q", 1, size); err != nil {
				return err
			}
			if err := c.drain("q", 1, size); err != nil {
				return err
			}
		}
		return nil
	}
}

func clientsThat(data, what string, talk func(*client) error) error {
	p, err := launch(data)
	if err != nil {
		return err
	}
	defer p.end(syscall.SIGKILL)
	before := p.anon()
	for range settings.count {
		c, err := dial(p.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := talk(c); err != nil {
			return err
		}
	}
	time.Sleep(settle)
	after := p.anon()
	fmt.Printf("| %s | %.1f MB | %.1f KB |\n", what, after, (after-before)*1e3/float64(settings.count))
	return nil
}

// settle is what a server is given to have given back what it held.
const settle = 10 * time.Second
