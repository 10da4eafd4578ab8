package main

// Wear: how many bytes reach the device for each byte that a client set. It mounts an ext4 of its
// own on a loop device, whose statistics count sectors, and needs root.

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

// load sets rate items a second while the server is watched, or a burst if rate is 0.
type load struct {
	name string
	rate int
	take bool // each item is also got
}

const burst = 1_000_000 // items in a burst

// wear runs every load under every sync policy.
func wear() {
	fmt.Print("| load | --sync | payload | device | bytes per payload byte | flushes |\n",
		"|---|---|---:|---:|---:|---:|\n")
	policies := []string{"always", "1s", "10s", "never"}
	var paced []<-chan result
	for _, l := range []load{{"1/s, set", 1, false}, {"1/s, set and got", 1, true},
		{"100/s, set", 100, false}, {"100/s, set and got", 100, true}} {
		for _, policy := range policies { // in parallel: they mostly wait
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
		for _, policy := range policies[1:] { // "always" would sync for each item, as above
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

// trial starts one measurement.
func trial(l load, policy string) <-chan result {
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = try(func() { onLoop(func(dir, loop string) { r.row = l.wear(dir, loop, policy) }) })
		done <- r
	}()
	return done
}

// onLoop calls do with a new ext4, mounted on dir, and the name of its loop device.
func onLoop(do func(dir, loop string)) {
	inDir(func(tmp string) {
		image, dir := filepath.Join(tmp, "image"), filepath.Join(tmp, "mnt")
		check(os.Mkdir(dir, 0o700))
		run("truncate", "-s", "1G", image)
		// Initialise everything now: a lazy mkfs would go on writing for hours.
		run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
		loop := attach(image)
		defer exec.Command("losetup", "--detach", loop).Run()
		run("mount", "-o", *mount, loop, dir)
		defer exec.Command("umount", dir).Run()
		do(dir, filepath.Base(loop))
	})
}

// attaching is held while a loop device is searched: two searches would find the same one.
var attaching sync.Mutex

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

// device returns how many bytes were written to a loop device, and how often it was flushed.
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

// wear puts the load on a server and returns a row of the table.
func (l load) wear(dir, loop, policy string) string {
	s := launch(filepath.Join(dir, "data"), "--sync", policy)
	defer s.Kill()
	s.fill("q", 1, *size) // creates the queue
	time.Sleep(2 * time.Second)
	run("sync", "-f", dir)
	before, flushed := device(loop)
	payload := int64(l.on(s)) * int64(*size)
	if l.rate == 0 {
		time.Sleep(2 * time.Second) // the background finishes its writes
	}
	run("sync", "-f", dir)
	after, flushes := device(loop)
	return fmt.Sprintf("| %s | %s | %d B | %d B | %.2f | %d |\n", l.name, policy, payload,
		after-before,
		float64(after-before)/float64(payload), flushes-flushed)
}

// on puts the load on a server and returns the number of items.
func (l load) on(s *server) (n int) {
	put := func(n int) {
		s.fill("q", n, *size)
		if l.take {
			s.drain("q", n, *size)
		}
	}
	if l.rate == 0 {
		const slice = 1000 // items that are set, then got
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
