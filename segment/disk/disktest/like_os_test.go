package disktest

// The double is only worth what it shares with the real file system. Every test here runs on both,
// and on the real one with files that take each other's descriptors.

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk"
)

// onBoth runs a test on the operating system and on the double. path makes a
// name in a fresh directory.
func onBoth(t *testing.T, test func(t *testing.T, fsys disk.FS, path func(...string) string)) {
	for name, fsys := range map[string]disk.OS{
		"os": {}, "os/few descriptors": {Descriptors: disk.NewDescriptors(0)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test(t, fsys, func(parts ...string) string {
				return filepath.Join(dir, filepath.Join(parts...))
			})
		})
	}
	t.Run("disktest", func(t *testing.T) {
		fsys := New()
		check(t, fsys.Mkdir("/data"))
		test(t, fsys, func(parts ...string) string { return "/data/" + filepath.Join(parts...) })
		if v := fsys.Violations(); len(v) > 0 {
			t.Errorf("got violations %q, want none", v)
		}
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr asks that err is target and names the path.
func wantErr(t *testing.T, err, target error, path string) {
	t.Helper()
	if !errors.Is(err, target) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want %v with %s", err, target, path)
	}
}

func put(t testing.TB, fsys disk.FS, name, content string) {
	t.Helper()
	f, err := fsys.Create(name)
	check(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	check(t, err)
	check(t, f.Close())
}

func get(t testing.TB, fsys disk.FS, name string) string {
	t.Helper()
	f, err := fsys.OpenRead(name)
	check(t, err)
	defer f.Close()
	size, err := f.Size()
	check(t, err)
	b, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	check(t, err)
	return string(b)
}

func TestOpenTellsWhatIsThere(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "x")
		_, err := fsys.Create(path("a"))
		wantErr(t, err, fs.ErrExist, path("a"))
		_, err = fsys.Open(path("b"))
		wantErr(t, err, fs.ErrNotExist, path("b"))
		_, err = fsys.OpenRead(path("b"))
		wantErr(t, err, fs.ErrNotExist, path("b"))
		_, err = fsys.Create(path("none", "b"))
		wantErr(t, err, fs.ErrNotExist, path("none", "b"))
		if _, err = fsys.Create(path("a", "b")); err == nil {
			t.Error("a file was made below a file")
		}
	})
}

func TestReadStopsAtTheEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "hello")
		f, err := fsys.OpenRead(path("a"))
		check(t, err)
		defer f.Close()
		b := make([]byte, 4)
		if n, err := f.ReadAt(b, 1); n != 4 || err != nil || string(b) != "ello" {
			t.Errorf("inside: got %d, %v, %q", n, err, b)
		}
		if n, err := f.ReadAt(b, 3); n != 2 || err != io.EOF {
			t.Errorf("across the end: got %d, %v, want what is left and io.EOF", n, err)
		}
		if n, err := f.ReadAt(b, 9); n != 0 || err != io.EOF {
			t.Errorf("after the end: got %d, %v, want 0 and io.EOF", n, err)
		}
		if _, err := f.ReadAt(b, -1); err == nil {
			t.Error("a negative offset was read")
		}
	})
}

func TestReadOnlyFilesRefuseChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "hello")
		f, err := fsys.OpenRead(path("a"))
		check(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte("x"), 0)
		_, mapErr := f.Map(4, true)
		for what, err := range map[string]error{
			"WriteAt": err, "Map": mapErr, "Truncate": f.Truncate(1), "Allocate": f.Allocate(0, 9),
		} {
			if err == nil || !strings.Contains(err.Error(), path("a")) {
				t.Errorf("%s on a read-only file: got %v, want an error that names it", what, err)
			}
		}
		if got := get(t, fsys, path("a")); got != "hello" {
			t.Errorf("got content %q, want another", got)
		}
	})
}

func TestClosedFilesRefuseEverything(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		f, err := fsys.Create(path("a"))
		check(t, err)
		check(t, f.Close())
		_, sizeErr := f.Size()
		_, writeErr := f.WriteAt([]byte("x"), 0)
		_, mapErr := f.Map(1, true)
		for what, err := range map[string]error{
			"Size": sizeErr, "WriteAt": writeErr, "Map": mapErr, "Sync": f.Sync(), "Close": f.Close(), "Allocate": f.Allocate(0, 1),
		} {
			if err == nil {
				t.Errorf("%s on a closed file: got no error", what)
			}
		}
	})
}

func TestTruncateCutsAndExtendsWithZeros(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "hello")
		f, err := fsys.Open(path("a"))
		check(t, err)
		defer f.Close()
		check(t, f.Truncate(2))
		check(t, f.Truncate(4))
		if got := get(t, fsys, path("a")); got != "he\x00\x00" {
			t.Errorf("got content %q, want another", got)
		}
	})
}

func TestAllocateGrowsWithZerosAndKeepsContent(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "hello")
		f, err := fsys.Open(path("a"))
		check(t, err)
		defer f.Close()
		check(t, f.Allocate(0, 10_000))
		check(t, f.Allocate(100, 200)) // it has blocks already
		if got, want := get(t, fsys, path("a")), "hello"+strings.Repeat("\x00", 9995); got != want {
			t.Errorf("%d bytes, want 10,000: hello and zeros", len(got))
		}
		if err := f.Allocate(0, 0); err == nil {
			t.Error("an empty range was allocated")
		}
	})
}

func TestMapsShareTheFile(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		f, err := fsys.Create(path("a"))
		check(t, err)
		defer f.Close()
		m, err := f.Map(64<<10, true) // past the end: the file grows into it
		check(t, err)
		check(t, f.Allocate(0, 16<<10))
		other, err := fsys.OpenRead(path("a"))
		check(t, err)
		defer other.Close()
		seen, err := other.Map(8<<10, false)
		check(t, err)

		copy(m[5000:], "stored")
		if string(seen[5000:5006]) != "stored" {
			t.Error("a store is not seen in another map")
		}
		b := make([]byte, 6)
		if _, err := other.ReadAt(b, 5000); err != nil || string(b) != "stored" {
			t.Errorf("got %q, %v, want what was stored", b, err)
		}
		_, err = f.WriteAt([]byte("written"), 6000)
		check(t, err)
		if string(m[6000:6007]) != "written" {
			t.Error("a write is not seen in a map")
		}
		check(t, f.Allocate(0, 48<<10))
		copy(m[40_000:], "grown")
		if got := get(t, fsys, path("a")); got[40_000:40_005] != "grown" {
			t.Error("a store into the part that grew is not read")
		}
		check(t, f.Sync())
		check(t, other.Unmap(seen))
		check(t, f.Unmap(m))
	})
}

func TestMapOutlivesCloseAndName(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "hello")
		f, err := fsys.Open(path("a"))
		check(t, err)
		m, err := f.Map(5, true)
		check(t, err)
		check(t, f.Close())
		check(t, fsys.Remove(path("a")))
		put(t, fsys, path("a"), "other")
		m[0] = 'j'
		if string(m) != "jello" || get(t, fsys, path("a")) != "other" {
			t.Errorf("got %q in the map and %q in the new file, want the old and the new content", m, get(t, fsys, path("a")))
		}
		check(t, f.Unmap(m))
		if err := f.Unmap(m[:3]); err == nil {
			t.Error("a part of a map was unmapped")
		}
	})
}

func TestMapNeedsALength(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		f, err := fsys.Create(path("a"))
		check(t, err)
		defer f.Close()
		if _, err := f.Map(0, false); err == nil || !strings.Contains(err.Error(), path("a")) {
			t.Errorf("a map of 0 bytes: got %v, want an error", err)
		}
	})
}

func TestReadDirIsSortedAndHasSizes(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		check(t, fsys.Mkdir(path("d", "e")))
		check(t, fsys.Mkdir(path("d", "e")))
		put(t, fsys, path("d", "f"), "12345")
		put(t, fsys, path("d", "a"), "")
		got, err := fsys.ReadDir(path("d"))
		check(t, err)
		blocks, err := fsys.Allocated(path("d", "f"))
		check(t, err)
		want := []disk.Entry{{Name: "a"}, {Name: "e", Dir: true}, {Name: "f", Size: 5, Allocated: blocks}}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		_, err = fsys.ReadDir(path("none"))
		wantErr(t, err, fs.ErrNotExist, path("none"))
		_, err = fsys.ReadDir(path("d", "f"))
		if err == nil {
			t.Error("a file was listed")
		}
		if err := fsys.Mkdir(path("d", "f", "g")); err == nil {
			t.Error("a directory was made below a file")
		}
	})
}

func TestBlocksAreToldAsTheyAreGiven(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		f, err := fsys.Create(path("a"))
		check(t, err)
		defer f.Close()
		same := func(least, most int64) {
			t.Helper()
			open, err := f.Allocated()
			check(t, err)
			named, err := fsys.Allocated(path("a"))
			check(t, err)
			if open != named || open < least || open > most {
				t.Errorf("%d bytes by handle, %d by name; want %d to %d", open, named, least, most)
			}
		}
		same(0, 0)
		check(t, f.Allocate(0, 300_000))
		same(300_000, 400_000)
		check(t, f.Truncate(5000))
		same(5000, 100_000)
		if _, err := fsys.Allocated(path("none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of a name that does not exist: got %v, want fs.ErrNotExist", err)
		}
		if free, err := fsys.Free(path("a")); err != nil || free <= 0 {
			t.Errorf("got %d bytes free, %v, want some", free, err)
		}
	})
}

func TestRenameReplacesFilesOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "new")
		put(t, fsys, path("b"), "old")
		check(t, fsys.Mkdir(path("d", "sub")))
		check(t, fsys.Rename(path("a"), path("b")))
		check(t, fsys.Rename(path("b"), path("b")))
		if got := get(t, fsys, path("b")); got != "new" {
			t.Errorf("b: got %q, want new", got)
		}
		wantErr(t, fsys.Rename(path("a"), path("c")), fs.ErrNotExist, path("a"))
		wantErr(t, fsys.Rename(path("b"), path("d")), fs.ErrExist, path("d"))
		if err := fsys.Rename(path("d"), path("b")); err == nil {
			t.Error("a directory replaced a file")
		}
		if err := fsys.Rename(path("d"), path("d", "sub", "d")); err == nil {
			t.Error("a directory went below itself")
		}
		check(t, fsys.Rename(path("b"), path("d", "b")))
		check(t, fsys.Rename(path("d"), path("e")))
		if got := get(t, fsys, path("e", "b")); got != "new" {
			t.Errorf("e/b: got %q, want new", got)
		}
		check(t, fsys.SyncDir(path("e")))
		check(t, fsys.SyncDir(path()))
	})
}

func TestRemoveTakesFilesAndEmptyDirectories(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		check(t, fsys.Mkdir(path("d")))
		put(t, fsys, path("d", "a"), "x")
		if err := fsys.Remove(path("d")); err == nil || !strings.Contains(err.Error(), path("d")) {
			t.Errorf("removing a directory with a file in it: got %v, want an error that names it", err)
		}
		check(t, fsys.Remove(path("d", "a")))
		check(t, fsys.Remove(path("d")))
		wantErr(t, fsys.Remove(path("d")), fs.ErrNotExist, path("d"))
		wantErr(t, fsys.SyncDir(path("d")), fs.ErrNotExist, path("d"))
	})
}

func TestLockHasOneHolder(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		held, err := fsys.Lock(path(".lock"))
		check(t, err)
		_, err = fsys.Lock(path(".lock"))
		wantErr(t, err, disk.ErrLocked, path(".lock"))
		check(t, held.Close())
		if held.Close() == nil {
			t.Error("a lock was given back twice")
		}
		again, err := fsys.Lock(path(".lock"))
		check(t, err)
		check(t, again.Close())
		_, err = fsys.Lock(path("none", ".lock"))
		wantErr(t, err, fs.ErrNotExist, path("none"))
	})
}

func TestFilesAreWholeAcrossSectorsAndBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		want := bytes.Repeat([]byte("0123456789"), 3000)
		f, err := fsys.Create(path("a"))
		check(t, err)
		for off := 0; off < len(want); off += 777 {
			_, err := f.WriteAt(want[off:min(off+777, len(want))], int64(off))
			check(t, err)
		}
		check(t, f.Close())
		if got := get(t, fsys, path("a")); got != string(want) {
			t.Error("what was written in pieces is not read whole")
		}
	})
}

func TestAVolumeHoldsWhatIsThereAndSyncs(t *testing.T) {
	onBoth(t, func(t *testing.T, fsys disk.FS, path func(...string) string) {
		put(t, fsys, path("a"), "content")
		w, err := fsys.Volume(path("a"))
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("this file system is not synced as a whole: ", err)
		}
		check(t, err)
		if !w.Holds(path()) || !w.Holds(path("a")) || w.Holds(path("b")) {
			t.Error("got a volume that holds the wrong names, want those that exist")
		}
		check(t, w.Sync())
		check(t, w.Close())
		_, err = fsys.Volume(path("b"))
		wantErr(t, err, fs.ErrNotExist, path("b"))
	})
}
