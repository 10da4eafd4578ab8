package queue

// A file system that takes fewer names than the usual ones, as FAT does.

import (
	"errors"
	"io"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// fat is a disk in memory that does not tell names apart by case or by dots at the end, and takes
// no ':'. Unlike FAT it forgets the case: the names here are in lower case where that matters.
type fat struct{ *disktest.FS }

func (fat) short(name string) string {
	return path.Join(path.Dir(name), strings.ToLower(strings.TrimRight(path.Base(name), ".")))
}

func (f fat) ReadDir(dir string) ([]disk.Entry, error) { return f.FS.ReadDir(f.short(dir)) }
func (f fat) OpenRead(name string) (disk.File, error)  { return f.FS.OpenRead(f.short(name)) }
func (f fat) Lock(name string) (io.Closer, error)      { return f.FS.Lock(f.short(name)) }
func (f fat) LockDir(dir string) (io.Closer, error)    { return f.FS.LockDir(f.short(dir)) }
func (f fat) Mkdir(dir string) error {
	if strings.Contains(dir, ":") {
		return syscall.EINVAL
	}
	return f.FS.Mkdir(f.short(dir))
}

func TestQueuesThatAFileSystemCannotTellApartAreNeverMixed(t *testing.T) {
	o := small()
	o.Log.FS = fat{disktest.New()}
	r := open(t, "/data", o)
	put(t, named(t, r, "orders"), "1")
	for _, restarted := range []bool{false, true} {
		for name, why := range map[string]string{"Orders": "queue orders", "orders.": "dot", "new.": "dot", "a:b": "invalid argument"} {
			q := named(t, r, name)
			err := q.Put([]byte("x"), wal.Meta{})
			if !errors.Is(err, errUnnameable) || !strings.Contains(err.Error(), why) {
				t.Errorf("%s, restarted %v: got %v, want an unnameable queue: %s", name, restarted, err, why)
			}
			if q.Exists() || take(t, q) != "" {
				t.Errorf("got queue %s, want none", name)
			}
		}
		if n := r.Totals().Queues; n != 1 {
			t.Errorf("got %d queues, want 1", n)
		}
		r = reopen(t, r)
	}
	wants(t, named(t, r, "orders"), "1")
}
