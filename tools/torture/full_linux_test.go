package torture

// The real server on a disk that is full, over quota or read-only. It refuses sets with a reason,
// loses nothing, and goes on with gets and confirms. Sets succeed again once there is space,
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

// tmpfs mounts a tmpfs of size bytes.
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
			if *long == 1 && name != "tmpfs" && name != "ext4" ||
				testing.Short() && name != "tmpfs" {
				t.Skip("in the long form")
			}
			fillAndDrain(t, prepare(t), strings.HasPrefix(name, "btrfs"))
		})
	}
}

// fresh makes and mounts a file system. Size 0 means its usual size.
func fresh(t *testing.T, name string, size int64) *mounted {
	k := kindNamed(name)
	k.needs(t)
	if size == 0 {
		size = k.size
	}
	s := newShelf(t)
	return k.use(t, s, k.make(t, s, size))
}

// filledUp fills a file system that cannot be made small, until about free bytes are free.
func filledUp(t *testing.T, m *mounted, free uint64) *mounted {
	run(t, "fallocate", "--length", fmt.Sprint(m.free()-free), m.dir+"/ballast")
	return m
}

// free returns the number of free bytes.
func (m *mounted) free() uint64 {
	m.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(m.dir, &st); err != nil {
		m.t.Fatal(err)
	}
	return st.Bavail * uint64(st.Bsize)
}

// failed ends a test because of a client's error. It skips the test if the server waits in the
// kernel for a page for which btrfs looks for space without end: see docs/durability.md.
func (c *client) failed(t *testing.T, format string, args ...any) {
	t.Helper()
	stacks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stack", c.of.Cmd.Process.Pid))
	for _, name := range stacks {
		if stack, err := os.ReadFile(name); err == nil &&
			strings.Contains(string(stack), "btrfs_page_mkwrite") {
			t.Skip("the kernel looks without end for space on a full btrfs")
		}
	}
	t.Fatalf(format, args...)
}

// fillAndDrain fills a disk and drains the queue, several times. The server keeps no space free, so
// that the disk is full for everything.
func fillAndDrain(t *testing.T, m *mounted, again bool) {
	flags := append([]string{"--min-free", "0"}, small...)
	d := launch(t, m.dir+"/data", flags...)
	c := d.dial()
	var stored []number
	refusal := fill(t, c, &stored, 0)
	if !strings.HasPrefix(refusal, "SERVER_ERROR ") || !strings.Contains(refusal, "no space") {
		t.Fatalf("a set on a full disk: got %q, want SERVER_ERROR and no space", refusal)
	}
	if n := len(stored); n < 500 {
		t.Fatalf("got a full disk after %d items, want at least 500", n)
	}
	answer, err := c.set("other", body("other", number{}))
	if err != nil || answer != "STORED" && !strings.HasPrefix(answer, "SERVER_ERROR") {
		t.Fatalf("another queue: got %q, %v; want STORED or SERVER_ERROR", answer, err)
	}
	if failed := c.figures(t, "q")["failed"]; failed != "no" {
		t.Fatalf("got failed %q for a full disk, want no", failed)
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
	for round := 2; round < 4; round++ { // fill it again, kill the server, and restart it
		fill(t, c, &stored, round)
		d.Kill()
		d = launch(t, m.dir+"/data", flags...)
		c = d.dial()
		takeFrom(t, c, &stored, len(stored)/2, again)
	}
	takeFrom(t, c, &stored, len(stored), again)
	if b, err := c.get("q"); b != nil || err != nil {
		t.Fatalf("got %.40q, %v; want an empty queue", b, err)
	}
	d.lives()
	d.stop()
	if log := d.Log.String(); strings.Contains(log, "panic") || d.Err != nil {
		t.Fatalf("got %v, want a clean end\n%s", d.Err, log)
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

// takeFrom takes n items, which must be the oldest stored. With again, items that were taken may
// come again before them, after a kill: a file system that writes no block in place may have no
// space for a confirmation on a full disk.
func takeFrom(t *testing.T, c *client, stored *[]number, n int, again bool) {
	t.Helper()
	for n > 0 {
		c.SetDeadline(time.Now().Add(limit))
		b, err := c.get("q/close/open")
		if err != nil || b == nil {
			c.failed(t, "got %v, %v; want the next of %d items", b, err, len(*stored))
		}
		i, err := parse("q", b)
		if err == nil && again && i.less((*stored)[0]) {
			continue
		}
		if err != nil || i != (*stored)[0] {
			t.Fatalf("got %v, %v; want %v", i, err, (*stored)[0])
		}
		*stored = (*stored)[1:]
		n--
	}
	if _, err := c.get("q/close"); err != nil {
		c.failed(t, "a close: %v", err)
	}
}

// A boot after trouble leaves the file system read-only. The kernel refuses to remount it so while
// the server has files open.
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
		t.Fatalf("got %v, want a read-only file system\n%s", err, out)
	}
}
