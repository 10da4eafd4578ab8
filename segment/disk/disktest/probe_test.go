package disktest

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
)

func TestAProbeLeavesNothing(t *testing.T) {
	for _, syncs := range []bool{false, true} {
		f := New()
		check(t, f.Mkdir("data"))
		check(t, f.WriteFile("data/.probe.new", []byte("what a kill left")))
		check(t, disk.Probe(f, "data", syncs))
		if names := f.Names("data"); len(names) != 0 || f.Used() != 0 {
			t.Errorf("got %v left, %d bytes, want nothing", names, f.Used())
		}
	}
	check(t, disk.Probe(disk.OS{}, t.TempDir(), true))
}

func TestAProbeTellsWhatAFileSystemCannotDo(t *testing.T) {
	for op, want := range map[Op]string{
		OpCreate:   "it cannot create files",
		OpAllocate: "it cannot allocate space",
		OpMap:      "it cannot map files into memory for writing that others see",
		OpRead:     "it cannot read files",
		OpWrite:    "it cannot write files",
		OpSync:     "it cannot sync files",
		OpRename:   "it cannot rename an open file over another",
		OpSyncDir:  "it cannot sync directories",
		OpOpen:     "it cannot open a file that was renamed",
		OpRemove:   "it cannot remove files",
	} {
		f := New()
		check(t, f.Mkdir("data"))
		f.Fail(func(o Op, _ string, _ int) error {
			if o == op {
				return syscall.ENODEV
			}
			return nil
		})
		err := disk.Probe(f, "data", true)
		if !errors.Is(err, disk.ErrUnfit) || !errors.Is(err, syscall.ENODEV) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s fails: got %v, want ErrUnfit with %q", op, err, want)
		}
		if files, maps := f.InUse(); files != 0 || maps != 0 {
			t.Errorf("%s fails: got %d files and %d maps left, want none", op, files, maps)
		}
	}
}

func TestAProbeTellsAShortageFromAnUnfitFileSystem(t *testing.T) {
	for _, failure := range []error{syscall.EMFILE, syscall.EACCES, syscall.EIO} {
		f := New()
		check(t, f.Mkdir("data"))
		f.Fail(func(Op, string, int) error { return failure })
		err := disk.Probe(f, "data", false)
		if !errors.Is(err, failure) || errors.Is(err, disk.ErrUnfit) {
			t.Errorf("got %v, want %v and no ErrUnfit", err, failure)
		}
	}
}

// A probe without syncs takes no time, so a start does not wait for a disk that is known to sync.
func TestAProbeSyncsOnlyIfItIsTo(t *testing.T) {
	f := New()
	check(t, f.Mkdir("data"))
	f.Fail(func(o Op, _ string, _ int) error {
		if o == OpSync || o == OpSyncDir {
			return syscall.EIO
		}
		return nil
	})
	check(t, disk.Probe(f, "data", false))
}

func TestAProbeFindsNothingWrongWithAFullDisk(t *testing.T) {
	for blocks := range int64(5) {
		f := New()
		check(t, f.Mkdir("data"))
		f.SetCapacity(blocks * blockSize)
		check(t, disk.Probe(f, "data", true))
		if names := f.Names("data"); len(names) != 0 {
			t.Errorf("got %v left, want nothing", names)
		}
	}
}

// private is a file system whose maps nobody else sees.
type private struct{ *FS }

func (p private) Create(name string) (disk.File, error) {
	f, err := p.FS.Create(name)
	return privateFile{f}, err
}

type privateFile struct{ disk.File }

func (privateFile) Map(n int, _ bool) ([]byte, error) { return make([]byte, n), nil }
func (privateFile) Unmap([]byte) error                { return nil }

func TestAProbeNoticesMapsThatNobodyElseSees(t *testing.T) {
	f := New()
	check(t, f.Mkdir("data"))
	err := disk.Probe(private{f}, "data", false)
	if !errors.Is(err, disk.ErrUnfit) || !strings.Contains(err.Error(), "stored into a map") {
		t.Errorf("got %v, want ErrUnfit", err)
	}
}

func BenchmarkProbe(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		if err := disk.Probe(disk.OS{}, filepath.Clean(dir), false); err != nil {
			b.Fatal(err)
		}
	}
}
