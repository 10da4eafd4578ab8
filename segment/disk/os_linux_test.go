package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAllocateWithoutFallocateTellsAFullDisk(t *testing.T) {
	f := openPlain(t, "/dev/full", os.O_RDWR)
	if err := f.Allocate(0, 4096); !IsFull(err) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("the error is %v, want a full disk and the path", err)
	}
}

// A store dirties its page and not those around it, which a sync would write as well.
func TestAStoreIntoAMapDirtiesOnePage(t *testing.T) {
	const size, stores = 1 << 20, 16
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := f.Map(size, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Unmap(b)
	if err := f.Allocate(0, size); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for at := 0; at < size/2; at += page { // as appending does
		b[at] = 1
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	before := written(t)
	for i := range stores {
		b[i*size/2/stores]++
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	dirtied := written(t) - before
	if dirtied == 0 {
		t.Skip("this file system does not count what is written")
	}
	if most := int64(2 * stores * page); dirtied > most {
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
