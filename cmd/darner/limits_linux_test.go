package main

// Servers under limits of the system.

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// limited is a program that becomes the server, under a limit of ulimit.
func limited(t *testing.T, ulimit string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "limited")
	script := fmt.Sprintf("#!/bin/sh\nulimit %s\nexec %s \"$@\"\n", ulimit, binary)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// The Go runtime takes more than 1 GiB of addresses. Without care, 20 queues with segments of the
// usual size would leave none for the heap.
func TestQueuesAndClientsShareALimitOfAddresses(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("that is no limit here")
	}
	const queues, clients, body = 100, 600, 60_000
	d := launchAs(t, limited(t, "-v 2097152"), t.TempDir())
	c := d.dial()
	for i := range queues {
		c.say(fmt.Sprintf("set q%d 0 0 1\r\na\r\n", i), "STORED\r\n")
	}
	half := strings.Repeat("x", body/2)
	var all []*talker
	for i := range clients {
		s := d.dial()
		s.send(fmt.Sprintf("set q%d 0 0 %d\r\n%s", i%queues, body, half))
		all = append(all, s)
	}
	for i := range queues { // they are all loaded again
		c.say(fmt.Sprintf("set q%d 0 0 1\r\nb\r\n", i), "STORED\r\n")
	}
	for _, s := range all {
		s.say(half+"\r\n", "STORED\r\n")
	}
	for i := range queues {
		c.until(fmt.Sprintf("q%d", i), "items", strconv.Itoa(2+clients/queues))
	}
	d.stop(os.Interrupt)
}
