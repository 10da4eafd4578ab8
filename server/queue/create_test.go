package queue

// Queues are made where nothing is, and leave nothing when they cannot be made.

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func TestWhatIsNoQueueIsLeftAlone(t *testing.T) {
	outside := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"a file":              func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"a dangling link":     func(path string) error { return os.Symlink(filepath.Join(outside, "none"), path) },
		"a link to elsewhere": func(path string) error { return os.Symlink(outside, path) },
		"a directory":         func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), small())
			path := filepath.Join(r.dir, "work")
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			q := named(t, r, "work")
			err := q.Put([]byte("a"), wal.Meta{})
			if err == nil || q.Exists() {
				t.Fatalf("got %v, exists %v, want a refused item and no queue", err, q.Exists())
			}
			if strings.Contains(err.Error(), r.dir) {
				t.Errorf("got error %v, want none that names a path", err)
			}
			if err := q.Delete(); err != nil {
				t.Error(err)
			}
			after, err := os.Lstat(path)
			if err != nil || after.Mode() != before.Mode() ||
				!after.ModTime().Equal(before.ModTime()) {
				t.Errorf("got %v, %v, want %v as before", after, err, before)
			}
			if there, _ := os.ReadDir(outside); len(there) != 0 {
				t.Errorf("got %v outside of the data directory, want nothing", there)
			}
		})
	}
}

func TestAQueueWhoseFirstItemIsRefusedLeavesNothing(t *testing.T) {
	for name, store := range map[string]func(q *Queue) error{
		"put": func(q *Queue) error { return q.Put([]byte("a"), wal.Meta{}) },
		"upload": func(q *Queue) error {
			u, err := q.BeginLarge(200<<10, wal.Meta{})
			if err != nil {
				return err
			}
			_, err = u.Write(make([]byte, 200<<10))
			u.Abort()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := disktest.New()
			r := onFake(t, fs)
			fs.Fail(func(op disktest.Op, name string, _ int) error {
				switch op {
				case disktest.OpMkdir, disktest.OpReadDir, disktest.OpRemove:
					return nil
				}
				if strings.HasPrefix(name, "data/work") {
					return syscall.ENOSPC
				}
				return nil
			})
			q := named(t, r, "work")
			w, _ := waitIn(t, q)
			if err := store(q); !errors.Is(err, wal.ErrFull) {
				t.Fatal(err)
			}
			total := r.Totals()
			total.Syncs = 0 // the background may have had one
			if q.Exists() || total != (Totals{}) || slices.Contains(fs.Names("data"), "work") {
				t.Errorf("got exists %v, %+v, %v, want no trace", q.Exists(), total, fs.Names("data"))
			}
			fs.Fail(nil)
			put(t, q, "b", "c")
			wantClaim(t, w, q, "b")
			wants(t, q, "c")
		})
	}
}

func TestALoadThatLacksDescriptorsParksOthers(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q, other := named(t, r, "work"), named(t, r, "other")
	put(t, q, "a")
	park(t, q)
	put(t, other, "x")
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpOpen && strings.Contains(name, "work") && r.holds(other) {
			return syscall.EMFILE
		}
		return nil
	})
	wants(t, q, "a")
	fs.Fail(nil)
	wants(t, other, "x")
}

func (r *Registry) holds(q *Queue) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.loaded[q.store]
	return ok
}

func TestTroubleWithClosingALogPasses(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	put(t, q, "a")
	if err := synced(q); err != nil {
		t.Fatal(err)
	}
	var tried atomic.Bool
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpTruncate || op == disktest.OpRemove {
			tried.Store(true)
			return errBroken
		}
		return nil
	})
	park(t, q)
	fs.Fail(nil)
	if !tried.Load() {
		t.Fatal("got no failing call, want one in closing")
	}
	put(t, q, "b")
	wants(t, q, "a", "b")
}

func TestADeleteThatOnlyLacksItsSyncIsDone(t *testing.T) {
	fs := disktest.New()
	r := onFake(t, fs)
	q := named(t, r, "work")
	put(t, q, "a")
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpSyncDir && name == "data" {
			return syscall.EMFILE
		}
		return nil
	})
	err := q.Delete()
	fs.Fail(nil)
	if err != nil || q.Exists() {
		t.Fatal(err)
	}
	put(t, q, "b")
	wants(t, q, "b")
}

func TestAnUploadAcrossADeleteIsToldNoPath(t *testing.T) {
	r := open(t, t.TempDir(), small())
	q := named(t, r, "work")
	const size = 200 << 10
	u, err := q.BeginLarge(size, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	_, err = u.Write(make([]byte, size))
	if err == nil {
		err = u.Commit()
	}
	u.Abort()
	if !errors.Is(err, wal.ErrClosed) || strings.Contains(err.Error(), r.dir) {
		t.Error(err)
	}
}
