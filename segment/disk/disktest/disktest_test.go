package disktest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk"
)

func TestStoreWithoutBlocksIsAViolation(t *testing.T) {
	for _, c := range []struct {
		name, want string
		prepare    func(disk.File) error
		at         int
		find       func(*FS, disk.File) error
	}{
		{"after the end, at Sync", "after the end at byte 9000; the size is 8192",
			func(h disk.File) error { return h.Allocate(0, 8192) }, 9000,
			func(_ *FS, h disk.File) error { return h.Sync() }},
		{"after the end of a file that ends in a block, at Close", "after the end at byte 101",
			func(h disk.File) error { return h.Allocate(0, 100) }, 101,
			func(_ *FS, h disk.File) error { return h.Close() }},
		{"into a hole, at Crash", "into a hole at byte 5000",
			func(h disk.File) error { return h.Truncate(20_000) }, 5000,
			func(f *FS, _ disk.File) error { f.Crash(seed(1)); return nil }},
		{"before Allocate", "after the end at byte 4096",
			func(h disk.File) error { return h.Allocate(0, 4096) }, 4096,
			func(_ *FS, h disk.File) error { return h.Allocate(4096, 4096) }},
		{"after what was cut off", "after the end at byte 5000",
			func(h disk.File) error {
				return errors.Join(h.Allocate(0, 8192), h.Truncate(4096))
			}, 5000,
			func(_ *FS, h disk.File) error { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := New()
			h, _ := f.Create("dir.seg")
			m, err := h.Map(32<<10, true)
			check(t, err)
			check(t, c.prepare(h))
			m[c.at] = 1
			check(t, c.find(f, h))
			if v := f.Violations(); len(v) != 1 || !strings.Contains(v[0], c.want) ||
				!strings.Contains(v[0], "dir.seg") {
				t.Errorf("violations are %q, want one: %s", v, c.want)
			}
			if m[c.at] != 0 {
				t.Error("the bad store stays")
			}
		})
	}
}

func TestStoreIntoRemovedFileIsFoundAtUnmap(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	m, err := h.Map(100, true)
	check(t, err)
	check(t, f.Remove("a"))
	m[0] = 1
	check(t, h.Unmap(m))
	if v := f.Violations(); len(v) != 1 {
		t.Errorf("violations are %q, want one", v)
	}
}

func TestUseAfterUnmapShows(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", []byte("hello")))
	h, _ := f.Open("a")
	m, err := h.Map(5, true)
	check(t, err)
	second, err := h.Map(5, false)
	check(t, err)
	check(t, h.Unmap(m))
	if string(second) != "hello" {
		t.Errorf("the other map: got %q, want the content", second)
	}
	check(t, h.Unmap(second))
	if string(m) == "hello" {
		t.Error("a map that is gone can be read")
	}
	m[0] = 'x'
	if got := content("a")(f); got != "hello" {
		t.Errorf("got %q after a store into a map that is gone, want the content", got)
	}
}

func TestFileCannotOutgrowItsMap(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	_, err := h.Map(8192, true)
	check(t, err)
	for what, call := range map[string]func(){
		"Allocate": func() { _ = h.Allocate(0, 8193) },
		"Map":      func() { _, _ = h.Map(8193, true) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic though a map is in the way", what)
				}
			}()
			call()
		}()
	}
}

func TestFullDiskRefusesBlocks(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	check(t, h.Allocate(0, 2*blockSize))
	f.SetCapacity(4*blockSize + 100)
	if err := h.Allocate(0, 5*blockSize); !disk.IsFull(err) || !strings.Contains(err.Error(), "a") {
		t.Errorf("allocating too much: got %v, want a full disk", err)
	}
	if size, _ := h.Size(); size != 2*blockSize {
		t.Errorf("got size %d after a refusal, want 0", size)
	}
	n, err := h.WriteAt(make([]byte, 3*blockSize), 2*blockSize)
	if n != 2*blockSize || !disk.IsFull(err) {
		t.Errorf("wrote %d bytes: %v, want two blocks and a full disk", n, err)
	}
	if _, err := h.WriteAt(make([]byte, blockSize), 0); err != nil {
		t.Errorf("writing over what is there: got %v, want no error", err)
	}
	check(t, h.Allocate(0, 4*blockSize))
	if _, err := f.Create("b"); !disk.IsFull(err) {
		t.Errorf("creating: got %v, want a full disk", err)
	}
	if err := f.Mkdir("d"); !disk.IsFull(err) {
		t.Errorf("making a directory: got %v, want a full disk", err)
	}
	check(t, f.Rename("a", "c"))
	check(t, h.Truncate(blockSize))
	if f.Used() != blockSize {
		t.Errorf("%d bytes in use after Truncate, want a block", f.Used())
	}
	check(t, f.Mkdir("d"))
	f.SetCapacity(0)
	check(t, f.Remove("c"))
	f.SetCapacity(-1)
	check(t, h.Allocate(0, 100*blockSize))
}

func TestBlocksOfRemovedFileAreFreedByItsLastUser(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	check(t, h.Allocate(0, blockSize))
	m, err := h.Map(blockSize, true)
	check(t, err)
	for _, step := range []struct {
		what string
		do   func() error
		used int64
	}{
		{"Remove", func() error { return f.Remove("a") }, blockSize},
		{"Close", h.Close, blockSize},
		{"Unmap", func() error { return h.Unmap(m) }, 0},
	} {
		check(t, step.do())
		if f.Used() != step.used {
			t.Errorf("%d bytes in use after %s, want %d", f.Used(), step.what, step.used)
		}
	}
}

func TestEveryCallCanBeBroken(t *testing.T) {
	broken := errors.New("broken")
	all := []Op{OpMkdir, OpCreate, OpAllocate, OpWrite, OpRead, OpSize, OpMap, OpSync, OpTruncate,
		OpRename, OpOpen, OpOpen, OpReadDir, OpSyncDir, OpLock, OpRemove}
	run := func(f *FS) (err error) {
		step := func(e error) {
			if err == nil {
				err = e
			}
		}
		step(f.Mkdir("d"))
		h, e := f.Create("d/a")
		step(e)
		if e == nil {
			defer h.Close()
			step(h.Allocate(0, 10))
			_, e = h.WriteAt([]byte("x"), 0)
			step(e)
			_, e = h.ReadAt(make([]byte, 1), 0)
			step(e)
			_, e = h.Size()
			step(e)
			m, e := h.Map(10, true)
			step(e)
			step(h.Sync())
			step(h.Truncate(5))
			if e == nil {
				defer func() { _ = h.Unmap(m) }()
			}
		}
		step(f.Rename("d/a", "d/b"))
		_, e = f.Open("d/b")
		step(e)
		_, e = f.OpenRead("d/b")
		step(e)
		_, e = f.ReadDir("d")
		step(e)
		step(f.SyncDir("d"))
		_, e = f.Lock("d/lock")
		step(e)
		step(f.Remove("d/b"))
		return err
	}

	var asked []Op
	f := New()
	f.Fail(func(op Op, name string, n int) error {
		asked = append(asked, op)
		if n != len(asked) {
			t.Errorf("call %d: got number %d", len(asked), n)
		}
		return nil
	})
	check(t, run(f))
	if !slices.Equal(asked, all) {
		t.Fatalf("the hook saw %v, want %v", asked, all)
	}
	for k, op := range all {
		f := New()
		f.Fail(func(_ Op, _ string, n int) error {
			if n == k+1 {
				return broken
			}
			return nil
		})
		err := run(f)
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), string(op)+" d") {
			t.Errorf("call %d, %s, fails: got %v, want the hook's error", k+1, op, err)
		}
	}
}

func TestHookMayCrash(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", []byte("old")))
	h, _ := f.Open("a")
	var image *FS
	f.Fail(func(op Op, name string, n int) error {
		image = f.Clone()
		return nil
	})
	_, err := h.WriteAt([]byte("new"), 0)
	check(t, err)
	if got := content("a")(image); got != "old" {
		t.Errorf("got %q before the write, want nothing yet", got)
	}
}

func TestCorruptByteIsDamagedForGood(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", []byte("a")))
	check(t, f.Corrupt("a", 0, 0x03))
	wantOutcomes(t, f, content("a"), "b")
	if f.Corrupt("a", 1, 1) == nil || f.Corrupt("none", 0, 1) == nil {
		t.Error("what is not there was corrupted")
	}
}

func TestWriteFileIsDurableAndReplaces(t *testing.T) {
	f := New()
	f.SetCapacity(0)
	check(t, f.WriteFile("d/e/a", []byte("1")))
	check(t, f.WriteFile("d/e/a", []byte("2")))
	wantOutcomes(t, f, content("d/e/a"), "2")
	if f.Used() != blockSize {
		t.Errorf("%d bytes in use, want a block", f.Used())
	}
	if f.WriteFile("d/e", nil) == nil || f.WriteFile("/", nil) == nil {
		t.Error("a file took a directory's place")
	}
}

func TestOpenFilesAndMapsAreCounted(t *testing.T) {
	f := New()
	h, err := f.Create("a")
	check(t, err)
	m, err := h.Map(100, true)
	check(t, err)
	l, err := f.Lock("b")
	check(t, err)
	w, err := f.Volume("b")
	check(t, err)
	if files, maps := f.InUse(); files != 3 || maps != 1 {
		t.Errorf("got %d files and %d maps in use, want those open", files, maps)
	}
	check(t, f.Remove("a"))
	check(t, errors.Join(h.Close(), h.Unmap(m), l.Close(), w.Close()))
	if files, maps := f.InUse(); files != 0 || maps != 0 {
		t.Errorf("got %d files and %d maps in use at the end, want none", files, maps)
	}
}
