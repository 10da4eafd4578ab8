package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sharing is a file system whose files share that many descriptors.
func sharing(limit int) OS { return OS{Descriptors: NewDescriptors(limit)} }

// pageFile is a new file of a page, mapped.
func pageFile(t *testing.T, fsys OS, name, content string) (*file, []byte) {
	t.Helper()
	f, err := fsys.Create(name)
	check(t, err)
	check(t, f.Allocate(0, 4096))
	m, err := f.Map(4096, true)
	check(t, err)
	copy(m, content)
	t.Cleanup(func() { f.Unmap(m); f.Close() })
	return f.(*file), m
}

func wantContent(t *testing.T, f File, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != want {
		t.Errorf("got %q, %v, want %q", b, err, want)
	}
}

// takeAll takes all descriptors that files can do without.
func takeAll(t *testing.T, d *Descriptors) {
	t.Helper()
	n := 0
	for d.Take() {
		n++
	}
	t.Cleanup(func() {
		for range n {
			d.Give()
		}
	})
}

func TestMappedFilesNeedNoDescriptors(t *testing.T) {
	const limit, files = 4, 50
	fsys, dir := sharing(limit), t.TempDir()
	var all []*file
	for i := range files {
		f, m := pageFile(t, fsys, filepath.Join(dir, fmt.Sprint(i)), "stored")
		copy(m, fmt.Sprint("again ", i))
		all = append(all, f)
		if n := fsys.Descriptors.taken; n > limit {
			t.Fatalf("got %d descriptors taken with %d files, want %d or fewer", n, i+1, limit)
		}
	}
	for i, f := range all {
		wantContent(t, f, fmt.Sprint("again ", i))
		check(t, f.Sync())
		if size, err := f.Size(); err != nil || size != 4096 {
			t.Errorf("got %d bytes, %v, want 4096", size, err)
		}
		if n := fsys.Descriptors.taken; n > limit {
			t.Fatalf("got %d descriptors taken, want %d or fewer", n, limit)
		}
	}
}

func TestAskingForASizeTakesNoDescriptor(t *testing.T) {
	fsys := sharing(1)
	f, _ := pageFile(t, fsys, filepath.Join(t.TempDir(), "a"), "")
	takeAll(t, fsys.Descriptors)
	if size, err := f.Size(); err != nil || size != 4096 || f.Held() {
		t.Errorf("got %d bytes, %v, held %v, want 4096 without a descriptor", size, err, f.Held())
	}
}

func TestAClientGetsTheDescriptorOfAFileThatCanDoWithout(t *testing.T) {
	fsys, dir := sharing(3), t.TempDir()
	d := fsys.Descriptors
	busy, err := fsys.Create(filepath.Join(dir, "written")) // an error of writing it back must not get lost
	check(t, err)
	defer busy.Close()
	mapped, m := pageFile(t, fsys, filepath.Join(dir, "mapped"), "hello")
	for range 2 {
		if !d.Take() {
			t.Fatal("got no descriptor with one unused and one that a file can do without")
		}
	}
	if mapped.Held() || !busy.Held() {
		t.Errorf("got mapped held %v, written held %v, want the written one alone", mapped.Held(), busy.Held())
	}
	if d.Take() {
		t.Error("got a descriptor that somebody needs")
	}
	d.Give()
	wantContent(t, mapped, "hello")
	if !mapped.Held() {
		t.Error("the file does not keep the descriptor that it took again")
	}
	d.Give()
	copy(m, "there")
	wantContent(t, mapped, "there")
}

func TestWhatWasUsedJustNowKeepsItsDescriptor(t *testing.T) {
	fsys, dir := sharing(3), t.TempDir()
	d := fsys.Descriptors
	var all [3]*file
	for i := range all {
		all[i], _ = pageFile(t, fsys, filepath.Join(dir, fmt.Sprint(i)), "x")
	}
	takeOne := func() {
		if !d.Take() {
			t.Fatal("got no descriptor")
		}
		defer d.Give()
	}
	takeOne() // from now on it is known who uses one
	for range 10 {
		for _, f := range all[1:] {
			wantContent(t, f, "x")
		}
		takeOne()
	}
	if all[0].Held() || !all[1].Held() || !all[2].Held() {
		t.Errorf("got held %v, %v, %v, want all but the first", all[0].Held(), all[1].Held(), all[2].Held())
	}
}

func TestAFileWithoutDescriptorIsFoundUnderItsNewName(t *testing.T) {
	fsys, dir := sharing(1), t.TempDir()
	queue, trash := filepath.Join(dir, "queue"), filepath.Join(dir, "trash")
	check(t, fsys.Mkdir(queue))
	f, _ := pageFile(t, fsys, filepath.Join(queue, "a"), "hello")
	takeAll(t, fsys.Descriptors)
	check(t, fsys.Rename(filepath.Join(queue, "a"), filepath.Join(queue, "b")))
	check(t, os.WriteFile(filepath.Join(queue, "a"), []byte("other"), filePerm))
	check(t, fsys.Rename(queue, trash))
	if f.Held() {
		t.Fatal("the file has a descriptor")
	}
	wantContent(t, f, "hello")
	if want := filepath.Join(trash, "b"); f.path() != want {
		t.Errorf("got path %s, want %s", f.path(), want)
	}
}

func TestAFailedRenameLeavesTheNames(t *testing.T) {
	fsys, dir := sharing(2), t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	f, _ := pageFile(t, fsys, from, "hello")
	if err := fsys.Rename(from, filepath.Join(dir, "no", "such")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want fs.ErrNotExist", err)
	}
	g, _ := pageFile(t, fsys, to, "other")
	check(t, fsys.Rename(from, to))
	takeAll(t, fsys.Descriptors)
	wantContent(t, f, "hello")
	wantContent(t, g, "other")
}

func TestAFileThatIsRemovedKeepsItsDescriptor(t *testing.T) {
	fsys, dir := sharing(1), t.TempDir()
	name := filepath.Join(dir, "a")
	f, _ := pageFile(t, fsys, name, "hello")
	takeAll(t, fsys.Descriptors)
	check(t, fsys.Remove(name))
	if fsys.Descriptors.Shed() {
		t.Error("got a descriptor that cannot be opened again")
	}
	wantContent(t, f, "hello")
	if err := fsys.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestAnotherFileOfTheSameNameIsNeverWrittenTo(t *testing.T) {
	fsys, dir := sharing(1), t.TempDir()
	name := filepath.Join(dir, "a")
	f, m := pageFile(t, fsys, name, "hello")
	takeAll(t, fsys.Descriptors)
	check(t, os.Rename(name, name+".gone")) // not by fsys
	check(t, os.WriteFile(name, []byte("other"), filePerm))
	_, err := f.WriteAt([]byte("x"), 0)
	if !errors.Is(err, errOtherFile) || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v, want errOtherFile with %s", err, name)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "other" {
		t.Errorf("got %q, %v in the other file, want other", b, err)
	}
	if !strings.HasPrefix(string(m), "hello") {
		t.Errorf("got %.5q in the map, want hello", m)
	}
}

func TestFilesShareDescriptorsWhileTheyAreRenamedAndRemoved(t *testing.T) {
	const limit, files, rounds = 3, 8, 300
	fsys, dir := sharing(limit), t.TempDir()
	var all sync.WaitGroup
	for i := range files {
		name := filepath.Join(dir, fmt.Sprint(i))
		f, m := pageFile(t, fsys, name, "0")
		all.Go(func() {
			for n := range rounds {
				want := fmt.Sprintf("%06d", n)
				switch rand.IntN(3) {
				case 0:
					copy(m, want)
				default:
					if _, err := f.WriteAt([]byte(want), 0); err != nil {
						t.Error(err)
					}
				}
				wantContent(t, f, want)
			}
		})
		all.Go(func() {
			for n := range rounds {
				next := filepath.Join(dir, fmt.Sprint(i, "-", n))
				if err := fsys.Rename(name, next); err != nil {
					t.Error(err)
				}
				name = next
			}
			if err := fsys.Remove(name); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := fsys.Descriptors.taken; n != files { // each lost its name
		t.Errorf("got %d descriptors taken, want %d", n, files)
	}
}

// Two files take the one descriptor from each other.
func BenchmarkTakeADescriptorBack(b *testing.B) {
	fsys, dir := sharing(1), b.TempDir()
	var files [2]File
	for i := range files {
		f, err := fsys.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err == nil {
			err = f.Allocate(0, 4096)
		}
		if err == nil {
			_, err = f.Map(4096, true)
		}
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	for i := range b.N {
		if _, err := files[i%2].WriteAt([]byte("x"), 0); err != nil {
			b.Fatal(err)
		}
	}
}

func TestFilesThatAreClosedWhileOthersNeedDescriptorsGiveTheirsBack(t *testing.T) {
	d, name := NewDescriptors(2), filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2000 {
				h, err := openHandle(d, name, os.O_RDONLY)
				if err != nil {
					t.Error(err)
					return
				}
				var using sync.WaitGroup
				using.Go(func() { // as a file may be closed while somebody uses it
					if f, err := h.hold(); err == nil {
						f.Stat()
						h.release()
					}
				})
				h.Close()
				using.Wait()
				if h.Held() {
					t.Error("got a descriptor of a file that is closed, want none")
				}
			}
		})
	}
	all.Wait()
	if d.taken != 0 || len(d.idle) != 0 {
		t.Errorf("got %d descriptors taken and %d idle with no file open, want none",
			d.taken, len(d.idle))
	}
}
