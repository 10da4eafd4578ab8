package torture

// A disk that is full, over quota or read-only, through the real server: sets are refused with a
// reason, nothing is lost, gets and confirms go on, and sets succeed again once there is space,
// without a restart.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	ways := map[string]func(t *testing.T) *mounted{
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
	}
	for name, prepare := range ways {
		t.Run(name, func(t *testing.T) {
			if *long == 1 && name != "tmpfs" && name != "ext4" || testing.Short() && name != "tmpfs" {
				t.Skip("in the long form")
			}
			fillAndDrain(t, prepare(t), strings.HasPrefix(name, "btrfs"))
		})
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
	run(t, "fallocate", "--length", fmt.Sprint(m.free()-free), m.dir+"/ballast")
	return m
}

// free is how many bytes are left.
func (m *mounted) free() uint64 {
	m.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(m.dir, &st); err != nil {
		m.t.Fatal(err)
	}
	return st.Bavail * uint64(st.Bsize)
}

// failed ends a test at an error of a client. Where the server waits in the kernel for a page that btrfs finds no
// space for, and does not say so, it is skipped: see docs/durability.md.
func (c *client) failed(t *testing.T, format string, args ...any) {
	t.Helper()
	stacks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stack", c.of.Cmd.Process.Pid))
	for _, name := range stacks {
		if stack, err := os.ReadFile(name); err == nil && strings.Contains(string(stack), "btrfs_page_mkwrite") {
			t.Skip("the kernel looks without end for space on a full btrfs")
		}
	}
	t.Fatalf(format, args...)
}

// Nothing is kept free, so that the disk is full for everything.
func fillAndDrain(t *testing.T, m *mounted, again bool) {
	flags := append([]string{"--min-free", "0"}, small...)
	d := launch(t, m.dir+"/data", flags...)
	c := d.dial()
	var stored []number
	refusal := fill(t, c, &stored, 0)
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
	takeFrom(t, c, &stored, len(stored)/2, again)
	until(t, "space", func() bool {
		i := number{1, 0}
		answer, err := c.set("q", body("q", i))
		if err != nil {
			c.failed(t, "a set: %v\n%s", err, d.Log)
		}
		if answer == "STORED" {
			stored = append(stored, i)
		}
		return answer == "STORED"
	})
	for round := 2; round < 4; round++ { // full again, killed on the full disk, and back
		fill(t, c, &stored, round)
		d.Kill()
		d = launch(t, m.dir+"/data", flags...)
		c = d.dial()
		takeFrom(t, c, &stored, len(stored)/2, again)
	}
	takeFrom(t, c, &stored, len(stored), again)
	if b, err := c.get("q"); b != nil || err != nil {
		t.Fatalf("%.40q, %v is left", b, err)
	}
	d.lives()
	d.stop()
	if log := d.Log.String(); strings.Contains(log, "panic") || d.Err != nil {
		t.Fatalf("%v\n%s", d.Err, log)
	}
}

// fill sets items of a generation until one is refused, and returns the refusal.
func fill(t *testing.T, c *client, stored *[]number, generation int) string {
	t.Helper()
	for n := 0; ; n++ {
		i := number{generation, n}
		c.SetDeadline(time.Now().Add(limit))
		answer, err := c.set("q", body("q", i))
		if err != nil {
			c.failed(t, "a set: %v", err)
		}
		if answer != "STORED" {
			return answer
		}
		*stored = append(*stored, i)
	}
}

// takeFrom takes so many items, which must be the oldest of those stored. Where a file system writes
// no block twice a full disk may keep a confirmation from being written: after a kill such items
// come again, before all others.
func takeFrom(t *testing.T, c *client, stored *[]number, n int, again bool) {
	t.Helper()
	for n > 0 {
		c.SetDeadline(time.Now().Add(limit))
		b, err := c.get("q/close/open")
		if err != nil || b == nil {
			c.failed(t, "%d items are left, the next is answered %v, %v", len(*stored), b, err)
		}
		i, err := parse("q", b)
		if err == nil && again && i.less((*stored)[0]) {
			continue
		}
		if err != nil || i != (*stored)[0] {
			t.Fatalf("got %v instead of %v, %v", i, (*stored)[0], err)
		}
		*stored = (*stored)[1:]
		n--
	}
	if _, err := c.get("q/close"); err != nil {
		c.failed(t, "a close: %v", err)
	}
}

// The kernel refuses to remount while the server has files open, so this is what a boot after
// trouble leaves.
func TestAServerOnAReadOnlyFileSystemSaysSo(t *testing.T) {
	m := fresh(t, "ext4", 0)
	d := launch(t, m.dir+"/data", small...)
	if answer, err := d.dial().set("q", []byte("x")); answer != "STORED" || err != nil {
		t.Fatalf("got %q, %v; want STORED", answer, err)
	}
	d.stop()
	run(t, "mount", "-i", "-o", "remount,ro", m.dir)
	out, err := exec.Command(program, "--data", m.dir+"/data", "--port", "0").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "read-only file system") {
		t.Fatalf("%v\n%s", err, out)
	}
}
