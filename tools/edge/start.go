package main

// Start-up with a backlog: it is not to depend on it.

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func start() error { return inDir(startIn) }

func startIn(data string) error {
	p, err := launch(data)
	if err != nil {
		return err
	}
	defer func() { p.end(syscall.SIGKILL) }()
	c, err := dial(p.addr)
	if err != nil {
		return err
	}
	if err := c.fill("q", settings.items, settings.size); err != nil {
		return err
	}
	fmt.Printf("%d items of %d bytes in %d files, page cache %s\n\n", settings.items, settings.size, files(data), cache())
	fmt.Println("| after | exec to first answer | its CPU time | to first item | to first stored | RssAnon |\n|---|---:|---:|---:|---:|---:|")
	for _, how := range []struct {
		name   string
		signal syscall.Signal
	}{{"kill -9", syscall.SIGKILL}, {"a clean stop", syscall.SIGTERM}, {"kill -9 while idle", syscall.SIGKILL}} {
		p.end(how.signal)
		if err := dropCaches(); err != nil {
			return err
		}
		if p, err = launch(data); err != nil {
			return err
		}
		if c, err = dial(p.addr); err != nil {
			return err
		}
		if err := c.drain("q", 1, settings.size); err != nil {
			return err
		}
		got := time.Since(p.started)
		if err := c.fill("q", 1, settings.size); err != nil {
			return err
		}
		fmt.Printf("| %s | %d ms | %d ms | %d ms | %d ms | %.1f MB |\n", how.name,
			p.ready.Milliseconds(), p.work.Milliseconds(), got.Milliseconds(), time.Since(p.started).Milliseconds(), p.anon())
	}
	return nil
}

func files(data string) int {
	list, _ := os.ReadDir(data + "/q")
	return len(list)
}
