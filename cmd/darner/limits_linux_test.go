package main

// Servers under limits of the system.

import (
	"fmt"
	"io"
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

// With 200 descriptors, some 80 are left for 250 files and more.
func TestKilledServerKeepsWhatItAnsweredWithFewDescriptors(t *testing.T) {
	t.Parallel()
	keepsWhatItAnswered(t, limited(t, "-n 200"), 120)
}

func TestManyQueuesAndClientsShareFewDescriptors(t *testing.T) {
	const queues, clients = 500, 200 // a queue has two files at least
	d := launchAs(t, limited(t, "-n 400"), t.TempDir())
	c := d.dial()
	for i := range queues {
		c.say(fmt.Sprintf("set q%d 0 0 1\r\na\r\n", i), "STORED\r\n")
	}
	var all []*talker
	for range clients {
		all = append(all, d.dial())
	}
	for round := range 3 {
		for i := range queues {
			q := fmt.Sprint("q", i)
			all[(i+round)%clients].say("set "+q+" 0 0 1\r\nb\r\nget "+q+"\r\n",
				fmt.Sprintf("STORED\r\nVALUE %s 0 1\r\n%c\r\nEND\r\n", q, "abb"[round]))
		}
	}
	if n := d.descriptors(); n > 400 {
		t.Errorf("got %d descriptors, want 400 at most", n)
	}
	for d.serves() { // until clients would leave the files too few
	}
	d.stop(os.Interrupt)
	log := d.Log.String()
	if strings.Count(log, "level=WARN") != 1 || strings.Contains(log, "level=ERROR") {
		t.Errorf("got warnings, want one alone, that fewer clients are served:\n%s", log)
	}
}

// descriptors is how many the server has open.
func (d *daemon) descriptors() int {
	list, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(d.Cmd.Process.Pid), "fd"))
	return len(list)
}

// serves connects one more client. It is false if that is not served.
func (d *daemon) serves() bool {
	c := d.dial()
	io.WriteString(c, "version\r\n") // it may be closed already
	answer, err := c.r.ReadString('\n')
	return err == nil && strings.HasPrefix(answer, "VERSION ")
}
