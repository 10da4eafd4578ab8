package torture

// Unusual file systems: without fallocate, with small or large blocks, with compression, with fewer
// valid names.

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// odd lists unusual file systems. Kernels with vfat, or with ext4 and btrfs blocks larger than a
// page, were not at hand.
var odd = []struct {
	what string
	kind
	again bool // see takeFrom
	long  bool // in the long form only
}{
	{"ext2, without fallocate", kind{"ext2", 16 << 20, []string{"mkfs.ext2", "-q", "-F"}, ""},
		false, false},
	{"exfat by FUSE, without fallocate", kind{"fuseblk", 16 << 20, []string{"mkfs.exfat"}, ""},
		false, false},
	{"ext4 with blocks of 1 KiB",
		kind{"ext4", 32 << 20, []string{"mkfs.ext4", "-q", "-F", "-b", "1024"}, ""}, false, false},
	{"ext4 in clusters of 64 KiB",
		kind{"ext4", 64 << 20, []string{"mkfs.ext4", "-q", "-F", "-O", "bigalloc", "-C", "65536"},
			""}, false, true},
	{"xfs with blocks of 1 KiB",
		kind{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f", "-K", "-b", "size=1k"}, "nouuid"},
		false, true},
	{"xfs with blocks of 64 KiB",
		kind{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f", "-K", "-b", "size=64k"}, "nouuid"},
		false, false},
	{"btrfs", kind{"btrfs", 128 << 20, []string{"mkfs.btrfs", "-q", "-f", "-K"}, ""}, true, true},
	{"btrfs that compresses", kind{"btrfs", 128 << 20, []string{"mkfs.btrfs", "-q", "-f", "-K"},
		"compress-force=zstd"}, true, false},
}

func TestItWorksOnOddFileSystems(t *testing.T) {
	for _, o := range odd {
		t.Run(o.what, func(t *testing.T) {
			if o.long && *long == 1 {
				t.Skip("in the long form")
			}
			o.needs(t)
			s := newShelf(t)
			m := o.use(t, s, o.make(t, s, o.size))
			keepsWhatItTakes(t, m)
			if o.name == "fuseblk" {
				refusesNamesOfFAT(t, m)
			}
			// A completely full btrfs has a test of its own.
			if o.name == "btrfs" && *long == 1 || testing.Short() {
				return
			}
			os.RemoveAll(m.dir + "/data")
			run(t, "sync", "--file-system", m.dir)
			ballast(t, m, 8<<20)
			fillAndDrain(t, m, o.again)
		})
	}
}

// keepsWhatItTakes sets 20,000 items and a large one, kills the server, and takes them all.
func keepsWhatItTakes(t *testing.T, m *mounted) {
	t.Helper()
	const items = 20_000
	large := make([]byte, 300_000)
	rand.Read(large)
	item := func(i int) []byte {
		return fmt.Appendf(nil, "item %d of %d, %s", i, items, strings.Repeat("x", i%50))
	}
	d := launch(t, m.dir+"/data", small...)
	c := d.dial()
	set := func(b []byte) {
		t.Helper()
		if answer, err := c.set("kept", b); answer != "STORED" || err != nil {
			t.Fatalf("got %q, %v; want STORED\n%s", answer, err, d.Log)
		}
	}
	for i := range items {
		set(item(i))
	}
	set(large)
	for range 2 { // recover the result of a recovery too
		d.Kill()
		d = launch(t, m.dir+"/data", small...)
	}
	c = d.dial()
	for i := range items + 1 {
		want := large
		if i < items {
			want = item(i)
		}
		if b, err := c.get("kept"); err != nil || !bytes.Equal(b, want) {
			t.Fatalf("item %d: got %.40q, %v; want %.40q\n%s", i, b, err, want, d.Log)
		}
	}
	if b, err := c.get("kept"); b != nil || err != nil {
		t.Fatalf("got %.40q, %v; want an empty queue", b, err)
	}
	if n := c.figures(t, "kept")["damaged_records"]; n != "0" {
		t.Errorf("got %s damaged records, want 0", n)
	}
	d.stop()
	log := d.Log.String()
	if strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") || d.Err != nil {
		t.Errorf("got %v, want a clean end without warnings\n%s", d.Err, log)
	}
}

// refusesNamesOfFAT checks the names that FAT cannot tell apart, because they differ only in case,
// or does not allow, because they contain ':'.
func refusesNamesOfFAT(t *testing.T, m *mounted) {
	t.Helper()
	d := launch(t, m.dir+"/data", small...)
	c := d.dial()
	for _, s := range []struct{ queue, answer string }{
		{"orders", "STORED"},
		{"Orders", "it does not tell the name from that of queue orders"},
		{"a:b", "takes no directory of this name"},
		{"a=b@c~d+e,f?*<>|\"\\", "STORED"},
	} {
		if answer, err := c.set(s.queue, []byte(s.queue)); err != nil ||
			!strings.Contains(answer, s.answer) {
			t.Errorf("%s: got %q, %v; want %q", s.queue, answer, err, s.answer)
		}
		want := ""
		if s.answer == "STORED" {
			want = s.queue
		}
		if b, err := c.get(s.queue); err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v; want %q", s.queue, b, err, want)
		}
	}
	d.stop()
}

// Without a page cache, files cannot be mapped shared for writing. Some network file systems are
// like this.
func TestItDoesNotStartWithoutSharedMaps(t *testing.T) {
	needsRoot(t)
	if _, err := exec.LookPath("bindfs"); err != nil {
		t.Skip("bindfs is not installed")
	}
	below, dir := t.TempDir(), t.TempDir()
	run(t, "bindfs", "-o", "direct_io", below, dir)
	defer run(t, "umount", "-i", dir)
	d := start(t, dir+"/data")
	select {
	case <-d.Gone:
	case <-time.After(limit):
		t.Fatalf("the server does not end\n%s", d.Log)
	}
	log := d.Log.String()
	if d.Cmd.ProcessState.ExitCode() != 1 ||
		!strings.Contains(log, "it cannot map files into memory") ||
		!strings.Contains(log, dir+"/data") {
		t.Errorf("got %v, want exit code 1 and the reason\n%s", d.Err, log)
	}
	left, err := os.ReadDir(below + "/data")
	if err != nil || len(left) != 1 || left[0].Name() != ".lock" {
		t.Errorf("got files %v, %v; want .lock alone", left, err)
	}
}

// ballast fills a file system until about free bytes are free.
func ballast(t *testing.T, m *mounted, free int64) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(m.dir, &st); err != nil {
		t.Fatal(err)
	}
	n := int64(st.Bavail)*int64(st.Bsize) - free
	if n <= 0 {
		return
	}
	f, err := os.Create(m.dir + "/ballast")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, n); err != unix.EOPNOTSUPP {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for b := make([]byte, 1<<20); n > 0; n -= int64(len(b)) {
		if _, err := f.Write(b[:min(n, int64(len(b)))]); err != nil {
			t.Fatal(err)
		}
	}
}
