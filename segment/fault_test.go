package segment

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/segment/disk"
)

// A file cut short under its map is what a failing disk looks like: the
// kernel has no page to give.
func TestPageThatIsGoneIsAnErrorOfTheSegment(t *testing.T) {
	needsFaultAddresses(t)
	path := filepath.Join(t.TempDir(), "1.seg")
	s, err := Create(disk.OS{}, path, 1<<20)
	must(t, err)
	defer s.Close()
	must(t, s.Start(testHeader))
	stored := fill(t, s, 1000)
	mustHold(t, s, stored)
	must(t, os.Truncate(path, 4096))

	calls := map[string]func() error{
		"At":     func() error { _, _, err := s.At(64 << 10); return err },
		"Resync": func() error { _, err := s.Resync(HeaderSize + 8<<10); return err },
		"Find":   func() error { _, err := s.Find(900); return err },
		"Bytes":  func() error { _, err := s.Bytes(0, 64<<10); return err },
		"Judge":  func() error { _, err := s.Judge(); return err },
		"Append": func() error { r := item(s.Last()+1, 10); _, err := s.Append(&r); return err },
		"Seal":   s.Seal,
	}
	for name, call := range calls {
		err := call()
		mustBe(t, err, ErrFault)
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want ErrFault with the file's name", name, err)
		}
	}
	if s.Sealed() {
		t.Error("got a sealed segment, want one that is not")
	}
	if r, _, err := s.At(HeaderSize); err != nil || !same(r, stored[0]) {
		t.Errorf("a page that is there: got %+v, %v, want its record", r, err)
	}
}

// needsFaultAddresses skips a test where the system does not tell at which address a program
// faulted, as qemu-arm and qemu-aarch64 do not: to Go every fault is a nil dereference there.
func needsFaultAddresses(t *testing.T) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "empty"))
	must(t, err)
	defer f.Close()
	m, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(m)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if _, ok := recover().(interface{ Addr() uintptr }); !ok {
			t.Skip("this system does not tell where a program faulted: it is emulated")
		}
	}()
	t.Error("a page after the end of file was read: ", m[0])
}

func TestGuardLetsOtherPanicsPass(t *testing.T) {
	old := debug.SetPanicOnFault(false)
	debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != "a bug" {
			t.Errorf("got panic %v, want the one that is no fault", p)
		}
		if now := debug.SetPanicOnFault(old); now != old {
			t.Error("got faults that panic after the guard, want the setting from before")
		}
	}()
	var err error
	defer Guard("1.seg", debug.SetPanicOnFault(true), &err)
	panic("a bug")
}

func TestNilDereferenceIsABugNotAFault(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want the one that is no fault to pass")
		}
	}()
	var err error
	var s *Segment
	defer Guard("1.seg", debug.SetPanicOnFault(true), &err)
	_ = s.path
}

// btrfs takes new space for a page that is stored to again, and a full one has none: then a write
// says so, or does what the store could not.
func TestWhereAPageCannotBeStoredToAnOrdinaryWriteDecides(t *testing.T) {
	needsFaultAddresses(t)
	for _, full := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "1.seg")
		s, err := Create(disk.OS{}, path, 1<<20)
		must(t, err)
		defer s.Close()
		must(t, s.Start(testHeader))
		fill(t, s, 1<<20)
		next := testHeader
		next.First, next.Salt = s.Last()+1, 0
		must(t, s.Recycle(path))
		must(t, unix.Mprotect(s.mem, unix.PROT_READ))
		if full {
			s.file = fullFile{s.file}
		}
		calls := map[string]func() error{
			"Reserve": func() error { _, err := s.Reserve(5000); return err },
			"Start":   func() error { return s.Start(next) },
		}
		for _, name := range []string{"Reserve", "Start"} {
			if err := calls[name](); full != disk.IsFull(err) || !full && err != nil {
				t.Errorf("%s on a disk that is full %v: got %v", name, full, err)
			}
		}
		if h, err := ReadHeader(disk.OS{}, path); !full && (err != nil || h.First != next.First) {
			t.Errorf("got a header from %d and %v, want one from %d", h.First, err, next.First)
		}
	}
}

// fullFile takes no writes.
type fullFile struct{ disk.File }

func (fullFile) WriteAt([]byte, int64) (int, error) { return 0, unix.ENOSPC }
