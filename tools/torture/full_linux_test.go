package torture

// A disk that is full, over quota or read-only, through the real server: sets are refused with a
// reason, nothing is lost, gets and confirms go on, and sets succeed again once there is space,
// without a restart.

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tmpfs mounts one of that many bytes.
func tmpfs(t *testing.T, size int) *mounted {
	t.Helper()
	m := &mounted{t: t, dir: t.TempDir()}
	if err := unix.Mount("torture", m.dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a tmpfs cannot be mounted: %v", err)
	}
	t.Cleanup(m.unmount)
	return m
}

func TestAFullDiskRefusesSetsAndRecoversByItself(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) *mounted{
		"tmpfs": func(t *testing.T) *mounted { needsRoot(t); return tmpfs(t, 8<<20) },
		"ext4":  func(t *testing.T) *mounted { return fresh(t, "ext4", 8<<20) },
		"xfs":   func(t *testing.T) *mounted { return filledUp(t, fresh(t, "xfs", 0), 8<<20) },
		"btrfs": func(t *testing.T) *mounted { return filledUp(t, fresh(t, "btrfs", 0), 8<<20) },
		"btrfs over quota": func(t *testing.T) *mounted {
			m := fresh(t, "btrfs", 0)
			run(t, "btrfs", "quota", "enable", m.dir)
			run(t, "btrfs", "subvolume", "create", m.dir+"/data")
			run(t, "btrfs", "qgroup", "limit", "8M", m.dir+"/data")
			return m
		},
	} {
		t.Run(name, func(t *testing.T) { fillAndDrain(t, prepare(t), name) })
	}
}

// fresh makes and mounts a file system; size 0 is its usual one.
func fresh(t *testing.T, name string, size int64) *mounted {
	k := kindNamed(name)
	k.needs(t)
	if size == 0 {
		size = k.size
	}
	s := newShelf(t)
	return k.use(t, s, k.make(t, s, size))
}

// filledUp leaves about so much free in a file system that cannot be made small.
func filledUp(t *testing.T, m *mounted, free uint64) *mounted {
	var st unix.Statfs_t
	if err := unix.Statfs(m.dir, &st); err != nil {
		t.Fatal(err)
	}
	run(t, "fallocate", "--length", fmt.Sprint(st.Bavail*uint64(st.Bsize)-free), m.dir+"/ballast")
	return m
}

func fillAndDrain(t *testing.T, m *mounted, name string) {
	d := launch(t, m.dir+"/data", small...)
	c := d.dial()
	var stored []number
	refusal := fillQueue(t, c, &stored)
	if !strings.HasPrefix(refusal, "SERVER_ERROR ") || !strings.Contains(refusal, "no space") {
		t.Fatalf("a set on a full disk is answered %q", refusal)
	}
	if n := len(stored); n < 500 {
		t.Fatalf("full after %d items", n)
	}
	if answer, err := c.set("other", body("other", number{})); err != nil || answer != "STORED" && !strings.HasPrefix(answer, "SERVER_ERROR") {
		t.Fatalf("another queue answers %q, %v", answer, err)
	}
	if failed := c.figures(t, "q")["failed"]; failed != "no" {
		t.Fatalf("a full disk is no failure of the queue: %s", failed)
	}
	takeFrom(t, c, &stored, len(stored)/2)
	until(t, "space", func() bool {
		i := number{1, 0}
		answer, err := c.set("q", body("q", i))
		if err != nil {
			t.Fatal(err, d.log)
		}
		if answer == "STORED" {
			stored = append(stored, i)
		}
		return answer == "STORED"
	})
	for round := 2; round < 4; round++ { // full again, killed on the full disk, and back
		refill(t, c, &stored, round)
		d.kill()
		d = launch(t, m.dir+"/data", small...)
		c = d.dial()
		takeFrom(t, c, &stored, len(stored)/2)
	}
	takeFrom(t, c, &stored, len(stored))
	if b, err := c.get("q"); b != nil || err != nil {
		t.Fatalf("%.40q, %v is left", b, err)
	}
	d.lives()
	d.stop()
	if log := d.log.String(); strings.Contains(log, "panic") || d.err != nil {
		t.Fatalf("%v\n%s", d.err, log)
	}
}

// fillQueue sets items until one is refused, and returns the refusal.
func fillQueue(t *testing.T, c *client, stored *[]number) string {
	t.Helper()
	for n := 0; ; n++ {
		i := number{0, n}
		answer, err := c.set("q", body("q", i))
		if err != nil {
			t.Fatal(err)
		}
		if answer != "STORED" {
			return answer
		}
		*stored = append(*stored, i)
	}
}

func refill(t *testing.T, c *client, stored *[]number, generation int) {
	t.Helper()
	for n := 0; ; n++ {
		i := number{generation, n}
		answer, err := c.set("q", body("q", i))
		if err != nil {
			t.Fatal(err)
		}
		if answer != "STORED" {
			return
		}
		*stored = append(*stored, i)
	}
}

// takeFrom takes so many items, which must be the oldest of those stored.
func takeFrom(t *testing.T, c *client, stored *[]number, n int) {
	t.Helper()
	for range n {
		b, err := c.get("q/close/open")
		if err != nil || b == nil {
			t.Fatalf("%d items are left, the next is answered %v, %v", len(*stored), b, err)
		}
		i, err := parse("q", b)
		if err != nil || i != (*stored)[0] {
			t.Fatalf("got %v instead of %v, %v", i, (*stored)[0], err)
		}
		*stored = (*stored)[1:]
	}
	if _, err := c.get("q/close"); err != nil {
		t.Fatal(err)
	}
}

func TestAReadOnlyRemountRefusesSetsAndServesTheRest(t *testing.T) {
	for _, name := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(name, func(t *testing.T) { readOnly(t, fresh(t, name, 0)) })
	}
}

// readOnly: the kernel refuses a remount while files are open for writing, as an operator's would
// be; what a file system does by itself when its disk fails is a shutdown, which is allowed.
func readOnly(t *testing.T, m *mounted) {
	d := launch(t, m.dir+"/data", small...)
	c := d.dial()
	for n := range 40 {
		if answer, err := c.set("idle", body("idle", number{0, n})); answer != "STORED" || err != nil {
			t.Fatal(answer, err)
		}
	}
	if answer, err := c.set("q/sync", body("q", number{0, 0})); answer != "STORED" || err != nil {
		t.Fatal(answer, err)
	}
	d.stop()
	if err := unix.Mount("", m.dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := exec.Command(program, "--data", m.dir+"/data", "--port", "0").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("started on a read-only file system: %v", err)
	}
}
