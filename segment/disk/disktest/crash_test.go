package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

func seed(n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 7)) }

// outcomes crashes f often and returns how often each description came up.
func outcomes(f *FS, describe func(*FS) string) map[string]int {
	seen := map[string]int{}
	for i := range 300 {
		seen[describe(f.Crash(seed(i)))]++
	}
	return seen
}

// wantOutcomes asks for exactly these outcomes, each at least once.
func wantOutcomes(t *testing.T, f *FS, describe func(*FS) string, want ...string) {
	t.Helper()
	seen := outcomes(f, describe)
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("%q never came up", w)
		}
		delete(seen, w)
	}
	for s := range seen {
		t.Errorf("%q cannot be", s)
	}
}

func names(dir string) func(*FS) string {
	return func(f *FS) string { return strings.Join(f.Names(dir), " ") }
}

func content(name string) func(*FS) string {
	return func(f *FS) string {
		b, err := f.ReadFile(name)
		if err != nil {
			return "none"
		}
		return string(b)
	}
}

// sectors describes a file by the first byte of each sector.
func sectors(name string) func(*FS) string {
	return func(f *FS) string {
		b, _ := f.ReadFile(name)
		var s []byte
		for off := 0; off < len(b); off += sectorSize {
			s = append(s, '0'+b[off])
		}
		return string(s)
	}
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	_, err := h.WriteAt([]byte("safe"), 0)
	check(t, err)
	check(t, h.Sync())
	check(t, f.SyncDir("/"))
	wantOutcomes(t, f, content("a"), "safe")
}

func TestCrashKeepsAnySectorsWritten(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", bytes.Repeat([]byte{1}, 3*sectorSize)))
	h, _ := f.Open("a")
	_, err := h.WriteAt(bytes.Repeat([]byte{2}, 2*sectorSize), sectorSize)
	check(t, err)
	wantOutcomes(t, f, sectors("a"), "111", "121", "112", "122")
}

func TestCrashKeepsAnySectorsStored(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", bytes.Repeat([]byte{1}, 3*sectorSize)))
	h, _ := f.Open("a")
	m, err := h.Map(3*sectorSize, true)
	check(t, err)
	fill(m[:sectorSize], 2)
	check(t, h.Sync())
	m[2*sectorSize] = 3
	wantOutcomes(t, f, sectors("a"), "211", "213")
}

func TestCrashLosesGrowthOrItsContent(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", bytes.Repeat([]byte{1}, sectorSize)))
	h, _ := f.Open("a")
	_, err := h.WriteAt(bytes.Repeat([]byte{2}, sectorSize), sectorSize)
	check(t, err)
	wantOutcomes(t, f, sectors("a"), "1", "10", "12")
}

func TestCrashUndoesTruncate(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", bytes.Repeat([]byte{1}, 3*sectorSize)))
	h, _ := f.Open("a")
	check(t, h.Truncate(100))
	describe := func(f *FS) string {
		b, _ := f.ReadFile("a")
		if len(b) == 100 {
			return "cut"
		}
		return fmt.Sprint(b[0], b[100], b[sectorSize], b[3*sectorSize-1])
	}
	wantOutcomes(t, f, describe, "cut", "1 1 1 1", "1 0 1 1") // the cut sector may be wiped already
}

func TestCrashGivesBackTheBlocksOfUndoneTruncate(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", make([]byte, 3*blockSize)))
	h, _ := f.Open("a")
	check(t, h.Truncate(blockSize))
	describe := func(f *FS) string {
		b, _ := f.ReadFile("a")
		return fmt.Sprint(len(b)/blockSize, f.Used()/blockSize)
	}
	wantOutcomes(t, f, describe, "1 1", "3 3")
	wantOutcomes(t, f.Clone(), describe, "1 1", "3 3")
}

func TestCrashUndoesWhatWasAllocated(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	check(t, f.SyncDir("/"))
	check(t, h.Allocate(0, sectorSize))
	wantOutcomes(t, f, sectors("a"), "", "0")
	check(t, h.Sync())
	wantOutcomes(t, f, sectors("a"), "0")
}

func TestSyncedFileWithoutSyncedNameMayVanish(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	_, err := h.WriteAt([]byte("safe"), 0)
	check(t, err)
	check(t, h.Sync())
	wantOutcomes(t, f, content("a"), "none", "safe")
}

func TestDirectoryOfSyncedNamesMayVanish(t *testing.T) {
	f := New()
	check(t, f.Mkdir("d"))
	_, err := f.Create("d/a")
	check(t, err)
	check(t, f.SyncDir("d"))
	wantOutcomes(t, f, func(f *FS) string { return names("/")(f) + ":" + names("d")(f) }, ":", "d:a")
	check(t, f.SyncDir("/"))
	wantOutcomes(t, f, names("d"), "a")
}

func TestRemovalMayBeUndone(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", []byte("x")))
	check(t, f.Remove("a"))
	wantOutcomes(t, f, content("a"), "none", "x")
	check(t, f.SyncDir("/"))
	wantOutcomes(t, f, content("a"), "none")
}

func TestRenameIsAtomic(t *testing.T) {
	f := New()
	check(t, f.WriteFile("d/new", []byte("new")))
	check(t, f.WriteFile("name", []byte("old")))
	check(t, f.Rename("d/new", "name"))
	describe := func(f *FS) string { return content("name")(f) + " " + content("d/new")(f) }
	wantOutcomes(t, f, describe, "old new", "new none")
	for _, dir := range []string{"/", "d"} {
		g := f.Clone()
		check(t, g.SyncDir(dir))
		wantOutcomes(t, g, describe, "new none")
	}
}

func TestNamesChangeInOrder(t *testing.T) {
	f := New()
	for i := range 3 {
		put(t, f, "a", fmt.Sprint(i))
		h, _ := f.Open("a")
		check(t, h.Sync())
		check(t, f.Rename("a", "b"))
	}
	for seen := range outcomes(f, func(f *FS) string { return content("a")(f) + " " + content("b")(f) }) {
		switch seen {
		case "none none", "0 none", "none 0", "1 0", "none 1", "2 1", "none 2":
		default:
			t.Errorf("a and b are %s: that never was", seen)
		}
	}
}

func TestSyncDirTakesEarlierChangesOfItsNames(t *testing.T) {
	f := New()
	check(t, f.WriteFile("x/a", []byte("a")))
	check(t, f.Mkdir("y"))
	check(t, f.SyncDir("/"))
	check(t, f.Rename("x/a", "x/b"))
	check(t, f.Rename("x/b", "y/c"))
	check(t, f.SyncDir("y"))
	wantOutcomes(t, f, func(f *FS) string { return names("x")(f) + "|" + names("y")(f) }, "|c")
}

func TestSyncDirLeavesOtherDirectoriesAtRisk(t *testing.T) {
	f := New()
	check(t, f.Mkdir("d"))
	check(t, f.SyncDir("/"))
	put(t, f, "d/a", "")
	put(t, f, "b", "")
	check(t, f.SyncDir("/"))
	wantOutcomes(t, f, func(f *FS) string { return names("/")(f) + "|" + names("d")(f) }, "b d|", "b d|a")
}

func TestFailedSyncIsFinal(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", []byte("old")))
	h, _ := f.Open("a")
	_, err := h.WriteAt([]byte("new"), 0)
	check(t, err)
	broken := errors.New("broken")
	f.Fail(func(op Op, name string, n int) error { return broken })
	if err := h.Sync(); !errors.Is(err, broken) {
		t.Fatalf("sync: got %v, want the hook's error", err)
	}
	f.Fail(nil)
	check(t, h.Sync())
	f.Writeback(seed(1))
	wantOutcomes(t, f, content("a"), "old", "new")
}

func TestCrashImageIsIndependentAndDurable(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", []byte("1")))
	held, err := f.Lock("lock")
	check(t, err)
	defer held.Close()
	check(t, f.SyncDir("/"))
	f.SetCapacity(64 * blockSize)
	image := f.Crash(seed(1))
	h, _ := f.Open("a")
	_, err = h.WriteAt([]byte("2"), 0)
	check(t, err)
	check(t, f.Remove("a"))
	wantOutcomes(t, image, content("a"), "1")
	if _, err := image.Lock("lock"); err != nil {
		t.Errorf("the lock in an image: got %v, want it free", err)
	}
	if image.Used() != blockSize {
		t.Errorf("the image uses %d bytes, want one block", image.Used())
	}
}

func TestCrashRepeatsWithItsSeed(t *testing.T) {
	f := New()
	for i := range 20 {
		put(t, f, fmt.Sprint(i), strings.Repeat("x", 5000))
	}
	dump := func(f *FS) (s string) {
		for _, name := range f.Names("/") {
			s += name + content(name)(f) + "\n"
		}
		return s
	}
	for i := range 20 {
		first, second := f.Crash(seed(i)), f.Crash(seed(i))
		if dump(first) != dump(second) {
			t.Fatalf("seed %d: got another image the second time", i)
		}
	}
}

func TestCloneKeepsEverythingAndTheRisk(t *testing.T) {
	f := New()
	put(t, f, "a", "x")
	put(t, f, "b", "x")
	check(t, f.Rename("b", "c"))
	image := f.Clone()
	check(t, f.Remove("a"))
	if got := image.Names("/"); !slices.Equal(got, []string{"a", "c"}) || content("a")(image) != "x" {
		t.Errorf("got the names %v, want all with their content", got)
	}
	wantOutcomes(t, image, names("/"), "", "a", "b", "c", "a b", "a c")
	wantOutcomes(t, image, content("c"), "none", "", "\x00", "x")
	check(t, image.Rename("a", "d"))
	if image.Used() != 2*blockSize {
		t.Errorf("the image uses %d bytes, want two blocks", image.Used())
	}
	check(t, image.Remove("d"))
	if image.Used() != blockSize {
		t.Errorf("the image uses %d bytes after a removal, want one block", image.Used())
	}
}

func TestWritebackMakesStatesInBetweenPossible(t *testing.T) {
	f := New()
	check(t, f.WriteFile("a", []byte("1")))
	seen := map[string]bool{}
	for i := range 100 {
		g := f.Clone()
		h, _ := g.Open("a")
		_, err := h.WriteAt([]byte("2"), 0)
		check(t, err)
		g.Writeback(seed(i))
		_, err = h.WriteAt([]byte("3"), 0)
		check(t, err)
		seen[content("a")(g.Crash(seed(i+1000)))] = true
	}
	if !seen["1"] || !seen["2"] || !seen["3"] || len(seen) != 3 {
		t.Errorf("saw %v, want 1, 2 and 3", seen)
	}
}

func TestCrashAndSyncDuringStores(t *testing.T) {
	f := New()
	h, _ := f.Create("a")
	check(t, h.Allocate(0, 16<<10))
	m, err := h.Map(16<<10, true)
	check(t, err)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i = (i + 1) % len(m) {
			select {
			case <-stop:
				return
			default:
				m[i]++
			}
		}
	})
	for i := range 50 {
		check(t, h.Sync())
		f.Crash(seed(i))
		f.Writeback(seed(i))
		if _, err := h.ReadAt(make([]byte, 16<<10), 0); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if v := f.Violations(); len(v) > 0 {
		t.Errorf("got violations %q, want none", v)
	}
}

func TestCrashKeepsWhatWasSyncedAsAWhole(t *testing.T) {
	f := New()
	check(t, f.Mkdir("/d/sub"))
	put(t, f, "/d/a", "one")
	put(t, f, "/d/sub/b", "two")
	put(t, f, "/d/c", "three")
	check(t, f.Rename("/d/c", "/d/sub/c"))
	w, err := f.Volume("/d/a")
	check(t, err)
	check(t, w.Sync())
	put(t, f, "/d/late", "four")
	wantOutcomes(t, f, func(f *FS) string {
		return content("/d/a")(f) + content("/d/sub/b")(f) + content("/d/sub/c")(f)
	}, "onetwothree")
}
