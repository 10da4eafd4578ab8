package fsck_test

// Rot of any kind, anywhere: nothing crashes, no wrong byte is delivered, and a repair mends it.

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
)

// rot damages one file in one of the ways in which disks and people do, and says how.
func rot(t *testing.T, rng *rand.Rand, fsys *disktest.FS, dir string) string {
	files := fsys.Names(dir)
	path := dir + "/" + files[rng.IntN(len(files))]
	b, err := fsys.ReadFile(path)
	must(t, err)
	at := rng.IntN(len(b) + 1)
	sector := at &^ 511
	what := ""
	switch rng.IntN(8) {
	case 0, 1:
		if at < len(b) {
			b[at] ^= 1 << rng.IntN(8)
		}
		what = fmt.Sprint("a bit is flipped at ", at)
	case 2:
		clear(b[sector:min(len(b), sector+512)])
		what = fmt.Sprint("a sector is lost at ", sector)
	case 3:
		clear(b[at&^4095 : min(len(b), at&^4095+4096)])
		what = fmt.Sprint("a page is lost at ", at&^4095)
	case 4:
		b = b[:at]
		what = fmt.Sprint("it is cut at ", at)
	case 5:
		other := rng.IntN(len(b)+1) &^ 511
		for i := range min(512, len(b)-sector, len(b)-other) {
			b[sector+i], b[other+i] = b[other+i], b[sector+i]
		}
		what = fmt.Sprint("sectors are swapped at ", sector, " and ", other)
	case 6:
		for i := sector; i < min(len(b), sector+512); i++ {
			b[i] = byte(rng.Uint32())
		}
		what = fmt.Sprint("a sector is overwritten at ", sector)
	case 7:
		must(t, fsys.Remove(path))
		return path + ": it is removed"
	}
	must(t, fsys.WriteFile(path, b))
	return path + ": " + what
}

func TestRotAnywhereIsRepaired(t *testing.T) {
	runs := 800
	if testing.Short() {
		runs = 200
	}
	for _, name := range []string{"clean", "killed", "body-taken", "body-unnamed", "cold"} {
		fixture(t, name)
		base := load(t, name)
		queue := queueOf(base)
		all := base.Clone()
		if queue == "orders" { // a damaged offset file brings taken items back
			must(t, all.Remove(offsets))
		} else {
			must(t, all.Remove(blobs+"/consumer.off"))
		}
		repair(t, all)
		known := make(map[string]bool)
		for _, item := range readable(t, all, queue) {
			known[item] = !wanted
		}
		whole := base.Clone()
		repair(t, whole)
		for _, item := range readable(t, whole, queue) {
			known[item] = wanted
		}
		for run := range runs / 4 {
			rotten(t, base.Clone(), queue, known,
				rand.New(rand.NewPCG(uint64(run), uint64(len(name)))))
		}
	}
}

// wanted is the value in known of items that were not taken.
const wanted = true

// rotten damages a queue with the known items, and mends it.
func rotten(t *testing.T, fsys *disktest.FS, queue string, known map[string]bool, rng *rand.Rand) {
	t.Helper()
	var done []string
	for range 1 + rng.IntN(3) {
		if len(fsys.Names(data+"/"+queue)) > 0 {
			done = append(done, rot(t, rng, fsys, data+"/"+queue))
		}
	}
	say := strings.Join(done, "\n")
	var before []string
	if rng.IntN(10) == 0 {
		before = served(t, fsys.Clone(), queue)
	}
	_, res := run(t, fsys, fsck.Options{})
	repair(t, fsys)
	if report, res := run(t, fsys, fsck.Options{}); res.Exit() != fsck.ExitClean {
		t.Fatalf("%s\nafter a repair: got\n%s\nwant a clean queue", say, report)
	}
	got := readable(t, fsys, queue)
	if uint64(len(got)) != res.Items {
		t.Fatalf("%s\nafter a repair: got %d items, want %d", say, len(got), res.Items)
	}
	for _, item := range got {
		if _, ok := known[item]; !ok {
			t.Fatalf("%s\nafter a repair: got item %s, want one of\n%s", say, item,
				strings.Join(slices.Sorted(maps.Keys(known)), "\n"))
		}
	}
	for _, item := range before {
		if known[item] == wanted && !slices.Contains(got, item) &&
			!strings.Contains(say, "consumer") {
			t.Fatalf("%s\nafter a repair: got no %s, which the server delivered before", say, item)
		}
	}
}
