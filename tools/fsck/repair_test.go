package fsck_test

// Repairs that are interrupted at any point, and what the server delivers afterwards.

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal/inspect"
)

// changes reports whether a call changes something.
func changes(op disktest.Op) bool {
	switch op {
	case disktest.OpOpen, disktest.OpReadDir, disktest.OpRead, disktest.OpSize, disktest.OpMap,
		disktest.OpLock:
		return false
	}
	return true
}

// queueOf returns the name of a fixture's queue.
func queueOf(fsys *disktest.FS) string {
	if slices.Contains(fsys.Names(data), "blobs") {
		return "blobs"
	}
	return "orders"
}

// isOtherFormat reports whether a fixture has files of another format. Repairs leave it alone, and
// the server refuses it.
func isOtherFormat(name string) bool {
	return strings.Contains(name, "newer") || strings.Contains(name, "version-1")
}

func TestARepairedQueueDeliversEveryReadableItem(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		if isOtherFormat(name) {
			return
		}
		queue := queueOf(fsys)
		before := served(t, fsys.Clone(), queue)
		_, res := run(t, fsys, fsck.Options{})
		repair(t, fsys)
		after := served(t, fsys, queue)
		if uint64(len(after)) != res.Items {
			t.Errorf("got %d items delivered, want the %d readable ones", len(after), res.Items)
		}
		if got := readable(t, fsys, queue); !slices.Equal(got, after) {
			t.Errorf("got %d items offline, want the %d delivered", len(got), len(after))
		}
		for _, item := range before {
			// An item that comes although it was taken need not come a second time.
			if !slices.Contains(after, item) && !strings.HasPrefix(name, "offset") {
				t.Errorf("got no %s after the repair, want it as before", item)
			}
		}
	})
}

// Without one the queue's age would be unknown.
func TestARepairedSegmentHasATimeOfCreation(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		if !strings.HasPrefix(name, "header-") || isOtherFormat(name) {
			return
		}
		repair(t, fsys)
		in, err := inspect.Open(fsys, data+"/"+queueOf(fsys))
		must(t, err)
		for _, f := range in.Files(inspect.SegmentFile) {
			v, err := in.OpenSegment(f)
			must(t, err)
			if v.Header().Created == 0 {
				t.Errorf("%s: got no time of creation, want one", f.Name)
			}
			v.Close()
		}
	})
}

func TestARepairDoneTwiceChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		repair(t, fsys)
		fsys.Fail(func(op disktest.Op, file string, n int) error {
			if changes(op) {
				t.Errorf("got %s of %s, want no change", op, file)
			}
			return nil
		})
		if res := repair(t, fsys); res.Actions > 0 {
			t.Errorf("got %d steps, want none", res.Actions)
		}
	})
}

func TestACheckChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		fsys.Fail(func(op disktest.Op, file string, n int) error {
			if changes(op) {
				t.Errorf("got %s of %s, want no change", op, file)
			}
			return nil
		})
		run(t, fsys, fsck.Options{})
		_, dry := run(t, fsys, fsck.Options{Repair: true, DryRun: true})
		fsys.Fail(nil)
		if res := repair(t, fsys); res.Actions != dry.Actions {
			t.Errorf("got %d steps, want the %d of the dry run", res.Actions, dry.Actions)
		}
	})
}

// A repair may be killed or lose power before any of its calls. The next one finishes it, with the
// same outcome.
func TestARepairCutOffAnywhereLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		if isOtherFormat(name) {
			return
		}
		queue := queueOf(fsys)
		whole := fsys.Clone()
		repair(t, whole)
		want := readable(t, whole, queue)

		kept := quarantined(t, whole, queue)
		rng := rand.New(rand.NewPCG(1, uint64(len(name))))
		var images []*disktest.FS
		running := fsys.Clone()
		running.Fail(func(op disktest.Op, file string, n int) error {
			if changes(op) {
				images = append(images, running.Clone(), running.Crash(rng), running.Crash(rng))
			}
			return nil
		})
		repair(t, running)
		for i, image := range images {
			if testing.Short() && i%5 > 0 {
				continue
			}
			repair(t, image)
			if report, res := run(t, image, fsck.Options{}); res.Exit() != fsck.ExitClean {
				t.Fatalf("cut off at %d of %d and repaired again: got\n%s\nwant a clean queue", i,
					len(images), report)
			}
			if got := readable(t, image, queue); !slices.Equal(got, want) {
				t.Fatalf("cut off at %d of %d and repaired again: got items\n%s\nwant\n%s", i,
					len(images), strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if got := quarantined(t, image, queue); !maps.Equal(got, kept) {
				t.Fatalf("cut off at %d of %d and repaired again: got %q set aside, want %q",
					i, len(images), slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(kept)))
			}
		}
	})
}

// callsOf returns, for each call of a repair, whether it changes something.
func callsOf(t *testing.T, fsys *disktest.FS) (changing []bool) {
	t.Helper()
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		changing = append(changing, changes(op))
		return nil
	})
	repair(t, fsys)
	return changing
}

// quarantined returns the content of the quarantine, by name.
func quarantined(t *testing.T, fsys *disktest.FS, queue string) map[string]string {
	t.Helper()
	kept := make(map[string]string)
	dir := data + "/.quarantine/" + queue
	for _, name := range fsys.Names(dir) {
		if strings.HasSuffix(name, ".note") || strings.HasSuffix(name, ".mend") {
			continue
		}
		b, err := fsys.ReadFile(dir + "/" + name)
		must(t, err)
		kept[name] = string(b)
	}
	return kept
}

// A call that fails is reported, and the next repair finishes the work.
func TestARepairThatMeetsAnErrorSaysSo(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		if isOtherFormat(name) {
			return
		}
		queue := queueOf(fsys)
		whole := fsys.Clone()
		repair(t, whole)
		want := readable(t, whole, queue)
		// There are many calls that change nothing, most of them for cold segments. One fixture
		// tries all.
		every := 4
		switch {
		case name == "cold-without-parity":
			every = 1
		case strings.HasPrefix(name, "cold"):
			every = 13
		}
		for at, changing := range callsOf(t, fsys.Clone()) {
			if testing.Short() && at%5 > 0 || !changing && at%every > 0 {
				continue
			}
			image := fsys.Clone()
			failed, mustTell, call := false, false, ""
			image.Fail(func(op disktest.Op, file string, n int) error {
				if n <= at || failed {
					return nil
				}
				failed, call = true, string(op)+" of "+file
				mustTell = changes(op) && op != disktest.OpAllocate // it is not needed
				if op == disktest.OpWrite || op == disktest.OpAllocate || op == disktest.OpCreate {
					return syscall.ENOSPC
				}
				return syscall.EIO
			})
			res, err := fsck.Run(data, fsck.Options{FS: image, Repair: true})
			image.Fail(nil)
			if mustTell && err == nil && res.Exit()&fsck.ExitTrouble == 0 {
				t.Fatalf("call %d, %s, fails: got no error, want one", at, call)
			}
			if err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v, want EIO or ENOSPC", err)
			}
			repair(t, image)
			if report, res := run(t, image, fsck.Options{}); res.Exit() != fsck.ExitClean {
				t.Fatalf("an error at call %d and a second repair: got\n%s\nwant a clean queue",
					at, report)
			}
			if got := readable(t, image, queue); !slices.Equal(got, want) {
				t.Fatalf("an error at call %d, %s, and a second repair: got items\n%s\nwant\n%s",
					at, call, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

// A segment that is written anew has of each record what it carries beside the payload.
func TestARepairKeepsWhenItemsAreDueAndTheirNotes(t *testing.T) {
	fixture(t, "moved-damaged")
	fsys := load(t, "moved-damaged")
	before := carried(t, fsys)
	repair(t, fsys)
	after := carried(t, fsys)
	if len(before) != 27 || !maps.Equal(before, after) {
		t.Errorf("got %v after a repair, want %v of 27 items", after, before)
	}
}

// carried is when the items of a queue are due, and their notes.
func carried(t *testing.T, fsys *disktest.FS) map[uint64]string {
	t.Helper()
	in, err := inspect.Open(fsys, orders)
	must(t, err)
	list, err := in.InOrder()
	must(t, err)
	all := map[uint64]string{}
	for _, f := range list {
		v, err := in.OpenSegment(f)
		must(t, err)
		for s := range v.Steps() {
			if s.Err == nil {
				all[s.Record.Seq] = fmt.Sprintf("due %d, %x", s.Record.Due, s.Record.Note)
			}
		}
		must(t, v.Close())
	}
	return all
}
