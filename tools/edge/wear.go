package main

// Bytes that reach the device for each byte that a client set: on an ext4 of its own, on a loop
// device, whose statistics count sectors. Needs root.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pace is a load: so many items a second, 0 as fast as they go.
type pace struct {
	name  string
	rate  int
	take  bool // each is got as well
	items int  // of a burst
}

func wear() error {
	fmt.Println("| load | --sync | payload | device | bytes per payload byte | flushes |\n|---|---|---:|---:|---:|---:|")
	type trial struct {
		load pace
		sync string
		row  chan string
		err  error
	}
	var paced, bursts []*trial
	for _, load := range []pace{
		{"1/s, set", 1, false, 0}, {"1/s, set and got", 1, true, 0},
		{"100/s, set", 100, false, 0}, {"100/s, set and got", 100, true, 0},
		{"burst, set", 0, false, 1_000_000}, {"burst, set and got", 0, true, 1_000_000},
	} {
		for _, policy := range []string{"always", "1s", "10s", "never"} {
			r := &trial{load: load, sync: policy, row: make(chan string, 1)}
			switch {
			case load.rate > 0:
				paced = append(paced, r)
			case policy != "always": // a client alone would have a sync for each item, as above
				bursts = append(bursts, r)
			}
		}
	}
	measure := func(r *trial) {
		defer close(r.row)
		r.err = onLoop(func(dir, loop string) error { return wearOf(dir, loop, r.sync, r.load, r.row) })
	}
	for _, r := range paced { // side by side: they mostly wait
		go measure(r)
	}
	for _, r := range paced {
		fmt.Print(<-r.row)
	}
	for _, r := range bursts {
		measure(r)
		fmt.Print(<-r.row)
	}
	for _, r := range append(paced, bursts...) {
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// onLoop mounts a new ext4 for a measurement.
func onLoop(fn func(dir, loop string) error) error {
	return inDir(func(tmp string) error {
		image, dir := filepath.Join(tmp, "image"), filepath.Join(tmp, "mnt")
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if _, err := run("truncate", "-s", "1G", image); err != nil {
			return err
		}
		// Everything made at once: a lazy mkfs would write for hours.
		if _, err := run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image); err != nil {
			return err
		}
		loop, err := attach(image)
		if err != nil {
			return err
		}
		defer run("losetup", "--detach", loop)
		if _, err := run("mount", "-o", settings.mount, loop, dir); err != nil {
			return err
		}
		defer run("umount", dir)
		return fn(dir, filepath.Base(loop))
	})
}

var attaching sync.Mutex // two that look for a free loop device find the same

func attach(image string) (string, error) {
	attaching.Lock()
	defer attaching.Unlock()
	return run("losetup", "--find", "--show", image)
}

func run(command ...string) (string, error) {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// device returns the bytes written to a loop device and how often it was flushed.
func device(loop string) (written, flushes int64) {
	b, _ := os.ReadFile("/sys/block/" + loop + "/stat")
	f := strings.Fields(string(b))
	if len(f) < 16 {
		return 0, 0
	}
	sectors, _ := strconv.ParseInt(f[6], 10, 64)
	flushes, _ = strconv.ParseInt(f[15], 10, 64)
	return sectors * 512, flushes
}

func wearOf(dir, loop, policy string, load pace, row chan<- string) error {
	p, err := launch(filepath.Join(dir, "data"), "--sync", policy)
	if err != nil {
		return err
	}
	defer p.end(syscall.SIGKILL)
	c, err := dial(p.addr)
	if err != nil {
		return err
	}
	if err := c.fill("q", 1, settings.size); err != nil { // the queue is there
		return err
	}
	time.Sleep(2 * time.Second)
	run("sync", "-f", dir)
	before, flushed := device(loop)
	n, err := load.on(c)
	if err != nil {
		return err
	}
	if load.rate == 0 {
		time.Sleep(2 * time.Second) // for what the background writes
	}
	run("sync", "-f", dir)
	after, flushes := device(loop)
	payload := int64(n) * int64(settings.size)
	row <- fmt.Sprintf("| %s | %s | %d B | %d B | %.2f | %d |\n", load.name, policy, payload, after-before,
		float64(after-before)/float64(payload), flushes-flushed)
	return nil
}

// on puts the load on and returns the number of items.
func (l pace) on(c *client) (n int, err error) {
	if l.rate == 0 {
		const slice = 1000 // set, then got
		for n = 0; n < l.items && err == nil; n += slice {
			if err = c.fill("q", slice, settings.size); err == nil && l.take {
				err = c.drain("q", slice, settings.size)
			}
		}
		return n, err
	}
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	for end := time.Now().Add(settings.minutes); time.Now().Before(end) && err == nil; n++ {
		<-tick.C
		if err = c.fill("q", 1, settings.size); err == nil && l.take {
			err = c.drain("q", 1, settings.size)
		}
	}
	return n, err
}
