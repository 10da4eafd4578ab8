package main

// Queues that nobody uses: what they cost in memory and at start-up.

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

func queues() error { return inDir(queuesIn) }

func queuesIn(data string) error {
	n := settings.count
	p, err := launch(data)
	if err != nil {
		return err
	}
	c, err := dial(p.addr)
	if err != nil {
		return err
	}
	if err := each(c, n, func(q string) (string, int) { return setOf(q, settings.size), stored }); err != nil {
		return err
	}
	made := p.anon()
	time.Sleep(parkTime)
	parked := p.anon()
	open, mapped := p.held(absolute(data))
	p.end(syscall.SIGTERM)
	if err := dropCaches(); err != nil {
		return err
	}
	if p, err = launch(data); err != nil {
		return err
	}
	defer func() { p.end(syscall.SIGKILL) }()
	restarted := p.anon()
	if c, err = dial(p.addr); err != nil {
		return err
	}
	began := time.Now()
	if err := c.drain(name(n/2), 1, settings.size); err != nil {
		return err
	}
	first := time.Since(began)
	fmt.Printf("| %d queues, page cache %s | |\n|---|---:|\n", n, cache())
	fmt.Printf("| RssAnon when each had been set an item | %.1f MB |\n", made)
	fmt.Printf("| a minute and a half later, all parked | %.1f MB |\n", parked)
	fmt.Printf("| files open, files mapped then | %d, %d |\n", open, mapped)
	fmt.Printf("| after a restart | %.1f MB |\n", restarted)
	fmt.Printf("| from exec to the first answer, its CPU time | %.0f ms, %.0f ms |\n", p.ready.Seconds()*1e3, p.work.Seconds()*1e3)
	fmt.Printf("| first get of one of them | %.1f ms |\n", first.Seconds()*1e3)
	return nil
}

// parkTime is what it takes until a queue that nobody uses is surely parked.
const parkTime = 95 * time.Second

func name(i int) string { return fmt.Sprintf("queue-%06d", i) }

// each makes a request of each queue, a hundred in flight.
func each(c *client, n int, request func(queue string) (string, int)) error {
	const atOnce = 100
	for i := 0; i < n; i += atOnce {
		text, answer := "", 0
		for j := i; j < min(i+atOnce, n); j++ {
			r, a := request(name(j))
			text, answer = text+r, answer+a
		}
		if err := c.flood(1, text, answer); err != nil {
			return err
		}
	}
	return nil
}

func absolute(dir string) string {
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
	}
	return path
}
