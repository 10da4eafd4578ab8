package fsck_test

// Directories that are in use, cannot be read or are not data directories.

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal/datadir"
)

func TestADirectoryInUseIsNotExamined(t *testing.T) {
	fsys := load(t, "lost-record")
	server, err := fsys.Lock(data + "/.lock")
	must(t, err)
	for _, path := range []string{data, orders} {
		for _, o := range []fsck.Options{{}, {Repair: true}, {Repair: true, DryRun: true}} {
			o.FS = fsys
			if _, err := fsck.Run(path, o); !errors.Is(err, disk.ErrLocked) ||
				!strings.Contains(err.Error(), "stop the server") {
				t.Errorf("%s: got %v, want disk.ErrLocked", path, err)
			}
		}
	}
	must(t, server.Close())
	if res := repair(t, fsys); res.Exit() != fsck.ExitRepaired {
		t.Errorf("got exit code %d, want %d", res.Exit(), fsck.ExitRepaired)
	}
}

func TestACheckNeedsNoLockFile(t *testing.T) {
	fsys := load(t, "clean")
	must(t, fsys.Remove(data+"/.lock"))
	if _, res := run(t, fsys, fsck.Options{}); res.Exit() != fsck.ExitClean || res.Items != 23 {
		t.Errorf("got %+v, want 23 items and a clean exit", res)
	}
	if names := fsys.Names(data); len(names) != 1 {
		t.Errorf("got %q in the data directory, want the queue alone", names)
	}
}

func TestAMediumThatCannotBeWrittenIsExamined(t *testing.T) {
	fsys := load(t, "clean")
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpLock {
			return syscall.EROFS
		}
		return nil
	})
	report, res := run(t, fsys, fsck.Options{})
	if res.Exit() != fsck.ExitClean || !strings.Contains(report, "without a lock") {
		t.Errorf("got exit code %d and\n%s\nwant %d and a note on the lock", res.Exit(), report,
			fsck.ExitClean)
	}
	_, err := fsck.Run(data, fsck.Options{FS: fsys, Repair: true})
	if !errors.Is(err, syscall.EROFS) {
		t.Errorf("a repair: got %v, want EROFS", err)
	}
}

func TestAQueuesDirectoryIsExaminedAlone(t *testing.T) {
	fsys := load(t, "lost-record")
	must(t, fsys.Mkdir(data+"/other"))
	res, err := fsck.Run(orders, fsck.Options{FS: fsys, Repair: true})
	must(t, err)
	if res.Queues != 1 || res.Items != 22 || res.Exit() != fsck.ExitRepaired {
		t.Errorf("got %+v, want 22 items of one queue, repaired", res)
	}
	if len(fsys.Names(data+"/.quarantine/orders")) == 0 {
		t.Error("got nothing in the data directory's quarantine, want the damage")
	}
}

func TestAQueueWithoutADataDirectoryHasItsOwnQuarantine(t *testing.T) {
	fsys := load(t, "lost-record")
	must(t, fsys.Rename(orders, "alone"))
	for range 2 {
		res, err := fsck.Run("alone", fsck.Options{FS: fsys, Repair: true})
		must(t, err)
		if res.Queues != 1 || res.Items != 22 || res.Left > 0 {
			t.Errorf("got %+v, want 22 items of one queue and nothing left", res)
		}
	}
	if len(fsys.Names("alone/.quarantine/alone")) == 0 {
		t.Error("got nothing in the quarantine, want the damage")
	}
}

func TestWhatIsNoDataDirectoryIsRefused(t *testing.T) {
	fsys := disktest.New()
	must(t, fsys.WriteFile("etc/passwd", []byte("root")))
	must(t, fsys.Mkdir("etc/ssh"))
	if _, err := fsck.Run("etc", fsck.Options{FS: fsys}); !errors.Is(err, datadir.ErrNotData) {
		t.Errorf("etc: got %v, want datadir.ErrNotData", err)
	}
	if _, err := fsck.Run("none", fsck.Options{FS: fsys}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: got %v, want fs.ErrNotExist", err)
	}
}

// A queue that cannot be read is reported and left alone, and the others are mended.
func TestAQueueThatCannotBeReadDoesNotHideTheOthers(t *testing.T) {
	for what, broken := range map[string]func(op disktest.Op, name string) error{
		"directory without rights": func(op disktest.Op, name string) error {
			if op == disktest.OpReadDir && strings.HasSuffix(name, "secret") {
				return syscall.EACCES
			}
			return nil
		},
		"segment on a bad sector": func(op disktest.Op, name string) error {
			if op == disktest.OpRead && strings.HasSuffix(name, "secret/00000000000000000011.seg") {
				return syscall.EIO
			}
			return nil
		},
		"offset file without rights": func(op disktest.Op, name string) error {
			if op == disktest.OpOpen && strings.HasSuffix(name, "secret/consumer.off") {
				return syscall.EACCES
			}
			return nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			fsys := load(t, "lost-record")
			for _, file := range fsys.Names(orders) {
				b, err := fsys.ReadFile(orders + "/" + file)
				must(t, err)
				must(t, fsys.WriteFile(data+"/secret/"+file, b))
			}
			fsys.Fail(func(op disktest.Op, name string, _ int) error {
				if strings.Contains(name, "secret") && changes(op) {
					t.Errorf("got %s of %s, want no change", op, name)
				}
				return broken(op, name)
			})
			report, res := run(t, fsys, fsck.Options{Repair: true})
			if res.Exit()&^fsck.ExitLeft != fsck.ExitRepaired+fsck.ExitTrouble {
				t.Errorf("got exit code %d, want repaired and trouble", res.Exit())
			}
			if !strings.Contains(report, "trouble  secret") ||
				!strings.Contains(report, "repair   orders/") {
				t.Errorf("got\n%s\nwant trouble with secret and a repair of orders", report)
			}
		})
	}
}

func TestLeftoversAreCountedNotListed(t *testing.T) {
	const many = 5000
	fsys := load(t, "clean")
	for i := range many {
		must(t, fsys.WriteFile(fmt.Sprintf("%s/%020d.part", orders, i+1), nil))
	}
	report, res := run(t, fsys, fsck.Options{})
	if lines := strings.Count(report, "\n"); lines > 20 ||
		!strings.Contains(report, fmt.Sprint("and ", many-10, " more")) {
		t.Errorf("got\n%.3000s\nwant most leftovers counted", report)
	}
	if res.Notes != many || res.Exit() != fsck.ExitClean {
		t.Errorf("got %+v, want %d notes and a clean exit", res, many)
	}
	if res := repair(t, fsys); res.Actions != 1 || res.Notes != many {
		t.Errorf("a repair: got %+v, want 1 action and %d notes", res, many)
	}
	if _, res := run(t, fsys, fsck.Options{}); res.Notes != 0 || res.Items != 23 {
		t.Errorf("afterwards: got %+v, want 23 items and no notes", res)
	}
}

func TestDirectoriesAreNamedAfterTheirQueues(t *testing.T) {
	for dir, want := range map[string]string{
		"orders": "orders", "a%2Bb": "a+b", "%2Ehidden": ".hidden", "a.b": "a.b", "%C3%A9": "é",
		"50%25": "50%",
	} {
		if got, ok := datadir.QueueName(dir); !ok || got != want {
			t.Errorf("%s: got %q, %v; want %q", dir, got, ok, want)
		}
	}
	for _, dir := range []string{"", "lost+found", ".trash", "a b", "%2b", "%41", "a%2",
		"%", "a%2Fb"} {
		if got, ok := datadir.QueueName(dir); ok {
			t.Errorf("%q: got queue %q, want none", dir, got)
		}
	}
}

// Thousands of leftovers are not listed one by one.
func TestManyLeftoversAreCounted(t *testing.T) {
	const many = 3000
	fsys := load(t, "clean")
	for i := range many {
		must(t, fsys.WriteFile(fmt.Sprintf("%s/core.%d", orders, i), nil))
		must(t, fsys.WriteFile(fmt.Sprintf("%s/%020d.part", orders, i+1), nil))
		must(t, fsys.WriteFile(fmt.Sprintf("%s/%020d.item", orders, i+1000), nil))
	}
	report, res := run(t, fsys, fsck.Options{Repair: true})
	if lines := strings.Count(report, "\n"); lines > 200 {
		t.Errorf("got %d lines, want at most 200", lines)
	}
	for _, want := range []string{"(3000 files)", "and 2900 more moved to the quarantine"} {
		if !strings.Contains(report, want) {
			t.Errorf("got\n%s\nwant %q in it", report, want)
		}
	}
	if res.Exit() != fsck.ExitRepaired {
		t.Errorf("got exit code %d, want %d", res.Exit(), fsck.ExitRepaired)
	}
	if n := len(fsys.Names(orders)); n != many+4 {
		t.Errorf("got %d files, want %d", n, many+4)
	}
}
