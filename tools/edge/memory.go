package main

// Memory against the length of a queue: it is not to depend on it.

import (
	"fmt"
	"syscall"
)

func memory() error {
	fmt.Println("| items | bytes each | filled | half drained | drained | restarted, first get |")
	fmt.Println("|---:|---:|---:|---:|---:|---:|")
	for _, n := range []int{10_000, settings.items} {
		if err := inDir(func(data string) error { return memoryOf(data, n, settings.size) }); err != nil {
			return err
		}
	}
	return nil
}

// memoryOf prints a row: anonymous memory in MB after each step.
func memoryOf(data string, n, size int) error {
	p, err := launch(data)
	if err != nil {
		return err
	}
	defer func() { p.end(syscall.SIGKILL) }()
	c, err := dial(p.addr)
	if err != nil {
		return err
	}
	if err := c.fill("q", n, size); err != nil {
		return err
	}
	filled := p.anon()
	p.end(syscall.SIGTERM)
	if p, err = launch(data); err != nil {
		return err
	}
	if c, err = dial(p.addr); err != nil {
		return err
	}
	if err := c.drain("q", 1, size); err != nil {
		return err
	}
	restarted := p.anon()
	if err := c.drain("q", n/2-1, size); err != nil {
		return err
	}
	half := p.anon()
	if err := c.drain("q", n-n/2, size); err != nil {
		return err
	}
	fmt.Printf("| %d | %d | %.1f MB | %.1f MB | %.1f MB | %.1f MB |\n", n, size, filled, half, p.anon(), restarted)
	return nil
}
