package disk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAllocateWithoutFallocateTellsAFullDisk(t *testing.T) {
	f := openPlain(t, "/dev/full", os.O_RDWR)
	if err := f.Allocate(0, 4096); !IsFull(err) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("the error is %v, want a full disk and the path", err)
	}
}

// A store dirties its page and not those around it, which a sync would write as well; also when the
// file was read from the disk.
func TestAStoreIntoAMapDirtiesOnePage(t *testing.T) {
	dir := t.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || uint32(fs.Type) == unix.BTRFS_SUPER_MAGIC {
		t.Skip("btrfs writes metadata at every sync, which counts as well")
	}
	const size, stores = 8 << 20, 16 // more than is read ahead at first
	path := filepath.Join(dir, "f")
	f, err := OS{}.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Allocate(0, size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{1}, size), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(f.(*file).Fd()), 0, 0, unix.FADV_DONTNEED); err != nil { // out of the cache
		t.Fatal(err)
	}
	b, err := f.Map(size, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Unmap(b)
	if bytes.IndexByte(b, 0) >= 0 { // looked at from end to end, as when a segment is opened
		t.Fatal("the file is not what was written")
	}
	before := written(t)
	for i := range stores {
		b[i*size/stores]++
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	dirtied := written(t) - before
	if dirtied == 0 {
		t.Skip("this file system does not count what is written")
	}
	t.Logf("%d stores dirtied %d bytes", stores, dirtied)
	if most := int64(2 * stores * os.Getpagesize()); dirtied > most {
		t.Errorf("%d stores dirtied %d bytes", stores, dirtied)
	}
}

// written is how many bytes this process has made dirty.
func written(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	t.Skip("the kernel does not count what a process writes")
	return 0
}
