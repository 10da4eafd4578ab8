package main

// Bytes that reach the device for each byte that a client set: on an ext4 of its own, on a loop device,
// whose statistics count sectors. Needs root.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// load is so many items a second for as long as the server is watched, or a burst if rate is 0.
type load struct {
	name string
	rate int
	take bool // each is got as well
}

const burst = 1_000_000 // items

func wear() {
	fmt.Println("| load | --sync | payload | device | bytes per payload byte | flushes |\n|---|---|---:|---:|---:|---:|")
	policies := []string{"always", "1s", "10s", "never"}
	var paced []<-chan result
	for _, l := range []load{{"1/s, set", 1, false}, {"1/s, set and got", 1, true}, {"100/s, set", 100, false}, {"100/s, set and got", 100, true}} {
		for _, policy := range policies { // side by side: they mostly wait
			paced = append(paced, trial(l, policy))
		}
	}
	var errs []error
	for _, p := range paced {
		r := <-p
		fmt.Print(r.row)
		errs = append(errs, r.err)
	}
	check(errors.Join(errs...))
	for _, l := range []load{{"burst, set", 0, false}, {"burst, set and got", 0, true}} {
		for _, policy := range policies[1:] { // a client alone would have a sync for each item, as above
			r := <-trial(l, policy)
			fmt.Print(r.row)
			check(r.err)
		}
	}
}

type result struct {
	row string
	err error
}

func trial(l load, policy string) <-chan result {
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = try(func() { onLoop(func(dir, loop string) { r.row = l.wear(dir, loop, policy) }) })
		done <- r
	}()
	return done
}

// onLoop mounts a new ext4 for a measurement.
func onLoop(do func(dir, loop string)) {
	inDir(func(tmp string) {
		image, dir := filepath.Join(tmp, "image"), filepath.Join(tmp, "mnt")
		check(os.Mkdir(dir, 0o700))
		run("truncate", "-s", "1G", image)
		// Everything made at once: a lazy mkfs would write for hours.
		run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
		loop := attach(image)
		defer exec.Command("losetup", "--detach", loop).Run()
		run("mount", "-o", *mount, loop, dir)
		defer exec.Command("umount", dir).Run()
		do(dir, filepath.Base(loop))
	})
}

var attaching sync.Mutex // two that look for a free loop device find the same

func attach(image string) string {
	attaching.Lock()
	defer attaching.Unlock()
	return run("losetup", "--find", "--show", image)
}

func run(command ...string) string {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		check(fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out))
	}
	return strings.TrimSpace(string(out))
}

// device returns the bytes written to a loop device and how often it was flushed.
func device(loop string) (written, flushes int64) {
	stat, _ := os.ReadFile("/sys/block/" + loop + "/stat")
	f := strings.Fields(string(stat))
	if len(f) < 16 {
		return 0, 0
	}
	sectors, _ := strconv.ParseInt(f[6], 10, 64)
	flushes, _ = strconv.ParseInt(f[15], 10, 64)
	return sectors * 512, flushes
}

func (l load) wear(dir, loop, policy string) string {
	s := launch(filepath.Join(dir, "data"), "--sync", policy)
	defer s.Kill()
	s.fill("q", 1, *size) // the queue is there
	time.Sleep(2 * time.Second)
	run("sync", "-f", dir)
	before, flushed := device(loop)
	payload := int64(l.on(s)) * int64(*size)
	if l.rate == 0 {
		time.Sleep(2 * time.Second) // for what the background writes
	}
	run("sync", "-f", dir)
	after, flushes := device(loop)
	return fmt.Sprintf("| %s | %s | %d B | %d B | %.2f | %d |\n", l.name, policy, payload, after-before,
		float64(after-before)/float64(payload), flushes-flushed)
}

// on puts the load on and returns the number of items.
func (l load) on(s *server) (n int) {
	put := func(n int) {
		s.fill("q", n, *size)
		if l.take {
			s.drain("q", n, *size)
		}
	}
	if l.rate == 0 {
		const slice = 1000 // set, then got
		for ; n < burst; n += slice {
			put(slice)
		}
		return n
	}
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	for end := time.Now().Add(*watched); time.Now().Before(end); n++ {
		<-tick.C
		put(1)
	}
	return n
}
