package fsck_test

// Repairs that are cut off at any point, and what the server makes of what they leave.

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
)

// changes tells a call that changes something from one that only looks.
func changes(op disktest.Op) bool {
	switch op {
	case disktest.OpOpen, disktest.OpReadDir, disktest.OpRead, disktest.OpSize, disktest.OpMap, disktest.OpLock:
		return false
	}
	return true
}

func queueOf(fsys *disktest.FS) string {
	if slices.Contains(fsys.Names(data), "blobs") {
		return "blobs"
	}
	return "orders"
}

// Fixtures that are of a newer format are left alone, and the server refuses them.
func isNewer(name string) bool { return strings.Contains(name, "newer-") || name == "offset-newer" }

func TestARepairedQueueDeliversEveryReadableItem(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		if isNewer(name) {
			return
		}
		queue := queueOf(fsys)
		before := served(t, fsys.Clone(), queue)
		_, res := run(t, fsys, fsck.Options{})
		repair(t, fsys)
		after := served(t, fsys, queue)
		if uint64(len(after)) != res.Items {
			t.Errorf("%d items were readable, %d are delivered", res.Items, len(after))
		}
		if got := readable(t, fsys, queue); !slices.Equal(got, after) {
			t.Errorf("%d items are read offline, %d are delivered", len(got), len(after))
		}
		for _, item := range before {
			// One that comes although it was taken need not come a second time.
			if !slices.Contains(after, item) && !strings.HasPrefix(name, "offset") {
				t.Errorf("the server delivered %s, and does no more", item)
			}
		}
	})
}

func TestARepairDoneTwiceChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		repair(t, fsys)
		fsys.Fail(func(op disktest.Op, file string, n int) error {
			if changes(op) {
				t.Errorf("%s of %s", op, file)
			}
			return nil
		})
		if res := repair(t, fsys); res.Actions > 0 {
			t.Errorf("%d steps", res.Actions)
		}
	})
}

func TestACheckChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		fsys.Fail(func(op disktest.Op, file string, n int) error {
			if changes(op) {
				t.Errorf("%s of %s", op, file)
			}
			return nil
		})
		run(t, fsys, fsck.Options{})
		_, dry := run(t, fsys, fsck.Options{Repair: true, DryRun: true})
		fsys.Fail(nil)
		if res := repair(t, fsys); res.Actions != dry.Actions {
			t.Errorf("%d steps where a dry run said %d", res.Actions, dry.Actions)
		}
	})
}

// A repair that was killed, or cut off from power, before any of its calls is finished by the next one,
// with the same outcome.
func TestARepairCutOffAnywhereLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		if isNewer(name) {
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
				t.Fatalf("cut off at %d of %d and repaired again:\n%s", i, len(images), report)
			}
			if got := readable(t, image, queue); !slices.Equal(got, want) {
				t.Fatalf("cut off at %d of %d and repaired again, it delivers\n%s\ninstead of\n%s", i, len(images), strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if got := quarantined(t, image, queue); !maps.Equal(got, kept) {
				t.Fatalf("cut off at %d of %d and repaired again, it has set aside %q instead of %q", i, len(images), slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(kept)))
			}
		}
	})
}

// callsOf tells of each call of a repair whether it changes something.
func callsOf(t *testing.T, fsys *disktest.FS) (changing []bool) {
	t.Helper()
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		changing = append(changing, changes(op))
		return nil
	})
	repair(t, fsys)
	return changing
}

// quarantined is what was set aside, by name.
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

// Whatever call fails, with whatever error, is told; and the next repair finishes the work.
func TestARepairThatMeetsAnErrorSaysSo(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		if isNewer(name) {
			return
		}
		queue := queueOf(fsys)
		whole := fsys.Clone()
		repair(t, whole)
		want := readable(t, whole, queue)
		every := 4 // calls that only look are many, and of a cold segment the more: all of them in one fixture
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
				mustTell = changes(op) && op != disktest.OpAllocate // which makes do with less
				if op == disktest.OpWrite || op == disktest.OpAllocate || op == disktest.OpCreate {
					return syscall.ENOSPC
				}
				return syscall.EIO
			})
			res, err := fsck.Run(data, fsck.Options{FS: image, Repair: true})
			image.Fail(nil)
			if mustTell && err == nil && res.Exit()&fsck.ExitTrouble == 0 {
				t.Fatalf("an error of call %d, %s, is not told", at, call)
			}
			if err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			repair(t, image)
			if report, res := run(t, image, fsck.Options{}); res.Exit() != fsck.ExitClean {
				t.Fatalf("after an error at call %d and a second repair:\n%s", at, report)
			}
			if got := readable(t, image, queue); !slices.Equal(got, want) {
				t.Fatalf("after an error at call %d, %s, and a second repair it delivers\n%s\ninstead of\n%s", at, call, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}
