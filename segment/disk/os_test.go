package disk

// What only the operating system can show. What it shares with the double is tested in disktest,
// together with the double.

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const holdLock = "DISK_TEST_HOLD_LOCK"

// TestMain is also the other process of the lock's test: it takes the lock,
// says so, and holds it until its input ends.
func TestMain(m *testing.M) {
	name := os.Getenv(holdLock)
	if name == "" {
		os.Exit(m.Run())
	}
	l, err := OS{}.Lock(name)
	fmt.Println("lock:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if l != nil {
		l.Close()
	}
}

func TestLockExcludesAnotherProcessUntilItDies(t *testing.T) {
	name := filepath.Join(t.TempDir(), ".lock")
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), holdLock+"="+name)
	in, err := other.StdinPipe()
	check(t, err)
	defer in.Close()
	out, err := other.StdoutPipe()
	check(t, err)
	err = other.Start()
	if errors.Is(err, syscall.ENOEXEC) {
		t.Skip("this machine does not run programs of the kind that this one is: it is emulated")
	}
	check(t, err)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "lock: <nil>\n" {
		t.Fatalf("the other process: got %q, %v, want the lock", line, err)
	}
	_, err = OS{}.Lock(name)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), name) {
		t.Errorf("while the other process holds the lock: got %v, want ErrLocked", err)
	}
	check(t, other.Process.Kill())
	_ = other.Wait() // it was killed, which is an error
	l, err := OS{}.Lock(name)
	check(t, err)
	check(t, l.Close())
}

func TestAllocateWithoutFallocateWritesZeros(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f := openPlain(t, name, os.O_RDWR|os.O_CREATE)
	_, err := f.WriteAt([]byte("hello"), 0)
	check(t, err)
	m, err := f.Map(1<<20, true)
	check(t, err)
	check(t, f.Allocate(0, 200_000))
	check(t, f.Allocate(50_000, 100_000)) // it has blocks already
	copy(m[150_000:], "stored")
	check(t, f.Allocate(100_000, 120_000))
	check(t, f.Unmap(m))

	want := make([]byte, 220_000)
	copy(want, "hello")
	copy(want[150_000:], "stored")
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v; want 220,000 that keep what was written", len(got), err)
	}
	wantBlocks(t, name, 220_000)
}

func TestAllocateWithoutFallocateAfterTheEndLeavesAHole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f := openPlain(t, name, os.O_RDWR|os.O_CREATE)
	check(t, f.Allocate(1<<20, 100_000))
	if size, err := f.Size(); err != nil || size != 1<<20+100_000 {
		t.Errorf("got size %d, %v, want the end of the range", size, err)
	}
	wantBlocks(t, name, 100_000)
}

func TestAllocateTakesBlocks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f, err := OS{}.Create(name)
	check(t, err)
	defer f.Close()
	check(t, f.Allocate(0, 300_000))
	wantBlocks(t, name, 300_000)
}

func TestOtherAllocationErrorsAreNotHidden(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f := openPlain(t, name, os.O_RDWR|os.O_CREATE)
	f.fallocate = func(*os.File, int64, int64) error { return syscall.EIO }
	err := f.Allocate(0, 1)
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), name) {
		t.Errorf("the error is %v, want EIO and the path", err)
	}
}

func TestSyncReachesMapsThatReachPastTheEnd(t *testing.T) {
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "a"))
	check(t, err)
	defer f.Close()
	m, err := f.Map(1<<20, true)
	check(t, err)
	check(t, f.Sync()) // nothing there yet
	check(t, f.Allocate(0, 70_000))
	m[69_999] = 1
	check(t, f.Sync())
	check(t, f.Unmap(m))
	check(t, f.Sync())
}

func TestUnmapTakesWholeMapsOnly(t *testing.T) {
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "a"))
	check(t, err)
	defer f.Close()
	m, err := f.Map(1<<20, true)
	check(t, err)
	for what, b := range map[string][]byte{"nothing": nil, "a part": m[1:], "no map": make([]byte, 10)} {
		if f.Unmap(b) == nil {
			t.Errorf("Unmap of %s: got no error", what)
		}
	}
	check(t, f.Unmap(m))
	if f.Unmap(m) == nil {
		t.Error("Unmap of a map that is gone: got no error")
	}
}

func TestIsFullKnowsDiskAndQuota(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.ENOSPC: true,
		fmt.Errorf("append: %w", &os.PathError{Op: "write", Path: "a", Err: syscall.EDQUOT}): true,
		syscall.EIO: false,
		nil:         false,
	} {
		if IsFull(err) != want {
			t.Errorf("IsFull(%v) is %v, want %v", err, !want, want)
		}
	}
}

func TestIsTransientKnowsShortagesOfDescriptorsAndMemory(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.EMFILE: true,
		fmt.Errorf("open: %w", &os.PathError{Op: "open", Path: "a", Err: syscall.ENFILE}): true,
		ErrAddresses:   true, // an ENOMEM
		syscall.ENOSPC: false,
		syscall.EIO:    false,
		nil:            false,
	} {
		if IsTransient(err) != want {
			t.Errorf("IsTransient(%v) is %v, want %v", err, !want, want)
		}
	}
}

// openPlain opens a file on a system that has no fallocate.
func openPlain(t *testing.T, name string, flag int) *file {
	t.Helper()
	f, err := os.OpenFile(name, flag, filePerm)
	check(t, err)
	t.Cleanup(func() { f.Close() })
	unsupported := func(*os.File, int64, int64) error { return syscall.EOPNOTSUPP }
	return &file{handle: &handle{file: f, name: name}, fallocate: unsupported}
}

// wantBlocks checks that a file has blocks for a number of bytes, and not many more.
func wantBlocks(t *testing.T, name string, bytes int64) {
	t.Helper()
	info, err := os.Stat(name)
	check(t, err)
	if got := info.Sys().(*syscall.Stat_t).Blocks * 512; got < bytes || got > bytes+128<<10 {
		t.Errorf("%s has blocks for %d bytes, want %d", name, got, bytes)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
