package wal

import (
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal/datadir"
)

func expectInUse(t *testing.T, dir string, o Options) {
	t.Helper()
	l, err := Open(dir, o)
	if !errors.Is(err, ErrInUse) {
		t.Errorf("guarded %v: got %v, want ErrInUse", o.Guarded, err)
	}
	if err == nil {
		l.Close()
	}
}

func TestALogIsOpenOnce(t *testing.T) {
	for name, o := range map[string]Options{"disk": {FS: disk.OS{}}, "memory": {FS: disktest.New()}} {
		t.Run(name, func(t *testing.T) {
			dir, guarded := filepath.Join(t.TempDir(), "new", "log"), o
			guarded.Guarded = true
			for _, end := range []func(*Log){
				func(l *Log) {
					if err := l.Close(); err != nil {
						t.Error(err)
					}
				},
				(*Log).Abandon,
			} {
				l, err := Open(dir, o)
				if err != nil {
					t.Fatal(err)
				}
				expectInUse(t, dir, o)
				expectInUse(t, dir, guarded)
				if _, err := l.Append([]byte("a"), Meta{}); err != nil {
					t.Errorf("got %v after others tried to open it", err)
				}
				end(l)
			}
			l, err := Open(dir, guarded)
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		})
	}
}

// That would take a descriptor for each of a server's queues.
func TestAGuardedLogKeepsNoLock(t *testing.T) {
	fsys := disktest.New()
	before := make(map[bool]int)
	for _, guarded := range []bool{false, true} {
		l, err := Open("log", Options{FS: fsys, Guarded: guarded})
		if err != nil {
			t.Fatal(err)
		}
		before[guarded], _ = fsys.InUse()
		l.Close()
	}
	if before[false] != before[true]+1 {
		t.Errorf("got %d files in use with a lock and %d without, want one more", before[false],
			before[true])
	}
}

func TestALogInTheDataDirectoryOfAServerIsInUse(t *testing.T) {
	fsys := disktest.New()
	if err := fsys.Mkdir("data"); err != nil {
		t.Fatal(err)
	}
	server, err := datadir.Lock(fsys, "data")
	if err != nil {
		t.Fatal(err)
	}
	expectInUse(t, "data/q", Options{FS: fsys})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Open("data/q", Options{FS: fsys})
	if err != nil {
		t.Fatalf("got %v when the server has ended", err)
	}
	l.Close()
	if _, err := datadir.Lock(fsys, "data"); err != nil {
		t.Errorf("got %v for a server that starts then", err)
	}
}

func TestAFileSystemWithoutLocksHasLogs(t *testing.T) {
	fsys := disktest.New()
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpLock {
			return syscall.ENOTSUP
		}
		return nil
	})
	l, err := Open("log", Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// Each looks whether a server has the directory above, and must not be taken for one.
func TestLogsBesideEachOtherAreOpenedAtTheSameTime(t *testing.T) {
	fsys, dir := disk.OS{}, t.TempDir()
	lock, err := datadir.Lock(fsys, dir) // of a tool that has ended; the file stays
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for range 20 {
				l, err := Open(filepath.Join(dir, strconv.Itoa(n)), Options{FS: fsys})
				if err != nil {
					t.Error(err)
					return
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
