package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// A store dirties its own page and not those around it, which a sync would write as well. This is
// also true of a file that was read from the disk.
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
	fd := int(f.(*file).file.Fd())
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil { // out of the cache
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
		t.Errorf("%d stores: got %d bytes dirtied, want at most two pages each", stores, dirtied)
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

func TestPopulatedPagesTakeStoresWithoutFaults(t *testing.T) {
	const size = 1 << 20
	_, b := mappedFile(t, size)
	if err := unix.Madvise(b[:os.Getpagesize()], unix.MADV_POPULATE_WRITE); err != nil {
		t.Skip("this kernel cannot:", err)
	}
	f, b := mappedFile(t, size)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b[100] = 7 // in a page that is populated later
	f.Populate(b)
	before := faults(t)
	for at := 1; at < size; at += os.Getpagesize() {
		b[at] = 1
	}
	if n := faults(t) - before; n > 8 {
		t.Errorf("stores into %d pages: got %d faults, want at most 8", size/os.Getpagesize(), n)
	}
	if b[100] != 7 {
		t.Error("got another byte after Populate, want the one stored")
	}
}

func TestWriteOutKeepsTheContent(t *testing.T) {
	const size = 1 << 20
	f, b := mappedFile(t, size)
	for i := range b {
		b[i] = byte(i / 100)
	}
	want := bytes.Clone(b)
	if err := f.WriteOut(b[5000:size-5000], 5000); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Error("got other bytes in the map, want those stored")
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, size)
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got other bytes in the file, %v", err)
	}
}

// mappedFile is a file with blocks, and a map of it.
func mappedFile(t *testing.T, size int) (File, []byte) {
	t.Helper()
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Allocate(0, int64(size)); err != nil {
		t.Fatal(err)
	}
	b, err := f.Map(size, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Unmap(b) })
	return f, b
}

// faults is how many page faults this thread has met.
func faults(t *testing.T) int64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return int64(u.Minflt) + int64(u.Majflt)
}

func TestADirectoryIsSyncedWhenThereIsNoDescriptorLeft(t *testing.T) {
	dir := t.TempDir()
	check(t, OS{}.SyncDir(dir)) // from here on, one descriptor is kept in reserve
	var was unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 100, Max: was.Max}))
	var all []*os.File
	defer func() {
		check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
		for _, f := range all {
			f.Close()
		}
	}()
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, unix.EMFILE) {
			break
		}
		check(t, err)
		all = append(all, f)
	}
	for range 3 {
		if err := (OS{}).SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
}
