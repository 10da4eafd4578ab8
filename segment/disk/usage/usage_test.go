package usage

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// walked returns what a walk finds under a directory, in all and in each directory alone.
func walked(t testing.TB, fsys disk.FS, dir string) (total int64, each map[string]int64) {
	t.Helper()
	each = map[string]int64{}
	var walk func(string)
	walk = func(dir string) {
		own, err := fsys.Allocated(dir)
		check(t, err)
		entries, err := fsys.ReadDir(dir)
		check(t, err)
		for _, e := range entries {
			if e.Dir {
				walk(filepath.Join(dir, e.Name))
			}
			own += e.Allocated
		}
		each[dir] = own
		total += own
	}
	walk(dir)
	return total, each
}

func compare(t testing.TB, f *FS, root string) {
	t.Helper()
	total, each := walked(t, f.FS, root)
	if got := f.Total(); got != total {
		t.Fatalf("in all: got %d bytes, want %d, as a walk finds", got, total)
	}
	for dir, want := range each {
		if got := f.Used(dir); got != want {
			t.Fatalf("%s: got %d bytes, want %d, as a walk finds", dir, got, want)
		}
	}
}

// actor does what a server may do to its files, at random.
type actor struct {
	t    testing.TB
	f    *FS
	root string
	rng  *rand.Rand
	open []disk.File

	// syncs says that files are synced before they are closed. A real file system may choose other
	// blocks when it writes, and nobody would measure a file that is closed by then.
	syncs bool
}

func (a *actor) dir() string {
	return filepath.Join(a.root, []string{"a", "b", ".trash/c", ".quarantine/d"}[a.rng.IntN(4)])
}

func (a *actor) name() string { return filepath.Join(a.dir(), string(rune('p'+a.rng.IntN(4)))) }

// step does one thing. It may fail, for example because a name does not exist.
func (a *actor) step() {
	keep := func(h disk.File, err error) {
		if err == nil {
			a.open = append(a.open, h)
		}
	}
	switch n := a.rng.IntN(12); n {
	case 0:
		a.f.Mkdir(a.dir())
	case 1:
		keep(a.f.Create(a.name()))
	case 2:
		keep(a.f.Open(a.name()))
	case 3:
		a.f.Remove(a.name())
	case 4:
		a.f.Rename(a.name(), a.name())
	case 5:
		a.f.Rename(a.dir(), filepath.Join(a.root, ".trash", fmt.Sprint(a.rng.IntN(100))))
	case 6:
		a.f.ReadDir(a.dir())
	case 7:
		a.f.Remove(a.dir())
	default:
		if len(a.open) == 0 {
			return
		}
		i := a.rng.IntN(len(a.open))
		h := a.open[i]
		switch n {
		case 8:
			h.WriteAt(make([]byte, a.rng.IntN(20_000)), int64(a.rng.IntN(50_000)))
		case 9:
			h.Allocate(int64(a.rng.IntN(50_000)), int64(1+a.rng.IntN(70_000)))
		case 10:
			h.Truncate(int64(a.rng.IntN(50_000)))
		case 11:
			a.close(h)
			a.open = append(a.open[:i], a.open[i+1:]...)
		}
	}
}

func (a *actor) close(h disk.File) {
	if a.syncs {
		check(a.t, h.Sync())
	}
	check(a.t, h.Close())
}

func (a *actor) closeAll() {
	for _, h := range a.open {
		a.close(h)
	}
	a.open = nil
}

func TestFiguresEqualAWalkAfterEveryStep(t *testing.T) {
	for seed := range uint64(60) {
		disk := disktest.New()
		if seed%3 == 0 {
			disk.SetCapacity(300_000)
		}
		root := "/data"
		f := New(disk, root)
		check(t, f.Mkdir(root))
		a := &actor{t: t, f: f, root: root, rng: rand.New(rand.NewPCG(seed, 1))}
		for range 150 {
			a.step()
			compare(t, f, root)
		}
		// A walk finds what the death of the process leaves. Counting goes on from there.
		f = New(disk.Clone(), root)
		a.f, a.open = f, nil
		for _, h := range a.open {
			h.Close()
		}
		check(t, f.Walk(t.Context()))
		for range 50 {
			compare(t, f, root)
			a.step()
		}
	}
}

func TestFiguresEqualDuOnTheRealFileSystem(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data")
	f := New(disk.OS{}, root)
	check(t, f.Mkdir(root))
	a := &actor{t: t, f: f, root: root, rng: rand.New(rand.NewPCG(7, 7)), syncs: true}
	for range 20 {
		for range 200 {
			a.step()
		}
		before, got, after := "", "", du(t, root)
		for before != after { // the kernel wrote meanwhile, and allotted blocks
			f.Refresh()
			before, got, after = after, fmt.Sprint(f.Total()), du(t, root)
		}
		if got != after {
			t.Fatalf("got %s bytes, want %s, as du says", got, after)
		}
	}
	a.closeAll()
}

// A descriptor that was closed may already belong to another file.
func TestFilesThatAreClosedWhileAllAreMeasuredCountForWhatTheyHave(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data")
	f := New(disk.OS{}, root)
	check(t, f.Mkdir(root))
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 200 {
				h, err := f.Create(filepath.Join(root, fmt.Sprintf("%d-%d", i, n)))
				check(t, err)
				check(t, h.Allocate(0, int64(1+n%7)<<12))
				check(t, h.Close())
			}
		})
	}
	var measuring sync.WaitGroup
	measuring.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				f.Refresh()
			}
		}
	})
	all.Wait()
	close(done)
	measuring.Wait()
	if got, want := fmt.Sprint(f.Total()), du(t, root); got != want {
		t.Fatalf("got %s bytes, want %s, as du says", got, want)
	}
}

func TestADirectoryThatGrowsIsCounted(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data")
	f := New(disk.OS{}, root)
	check(t, f.Mkdir(root))
	for i := range 300 {
		check(t, f.Mkdir(filepath.Join(root, fmt.Sprintf("%s%d", strings.Repeat("n", 200), i))))
	}
	if got, want := fmt.Sprint(f.Total()), du(t, root); got != want {
		t.Fatalf("got %s bytes, want %s, as du says", got, want)
	}
}

func du(t testing.TB, dir string) string {
	t.Helper()
	out, err := exec.Command("du", "-s", "--block-size=1", dir).Output()
	if err != nil {
		t.Skipf("no du that counts bytes: %v", err)
	}
	return strings.Fields(string(out))[0]
}

// Names in other directories and in the same one change while they are walked and listed.
func TestAWalkMeanwhileCountsNothingTwice(t *testing.T) {
	for round := range 20 {
		below := disktest.New()
		root := "/data"
		for _, dir := range []string{"a", "b", ".trash/c", ".quarantine/d"} {
			check(t, below.WriteFile(root+"/"+dir+"/p", make([]byte, 10_000)))
		}
		f := New(below, root)
		for _, dir := range []string{"", ".trash", ".quarantine"} { // make the directories known
			_, err := f.ReadDir(root + "/" + dir)
			check(t, err)
		}
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(round), uint64(i)))
				a := &actor{t: t, f: f, root: root, rng: rng}
				for range 200 {
					a.step()
				}
				a.closeAll()
			})
		}
		all.Go(func() { f.Walk(t.Context()) })
		all.Wait()
		check(t, f.Walk(t.Context()))
		compare(t, f, root)
	}
}

func TestARemovedFileThatIsOpenDoesNotCount(t *testing.T) {
	f := New(disktest.New(), "/data")
	check(t, f.Mkdir("/data"))
	before := f.Total()
	h, err := f.Create("/data/x")
	check(t, err)
	check(t, h.Allocate(0, 100_000))
	if f.Total() == before {
		t.Fatal("got the same total after an allocation, want more")
	}
	check(t, f.Remove("/data/x"))
	check(t, h.Allocate(0, 200_000))
	if got := f.Total(); got != before {
		t.Errorf("got %d bytes, want %d", got, before)
	}
	check(t, h.Close())
}
