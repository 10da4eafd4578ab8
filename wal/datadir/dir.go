package datadir

// A data directory as offline tools see it: which queues are in it, what else is, who holds its
// lock, and where damaged bytes are set aside.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/darner/darner/segment/disk"
)

// Errors that a caller may want to tell apart.
var (
	ErrNotData = errors.New("nothing in it looks like queues: is it the right directory?")
	ErrNoQueue = errors.New("there is no queue of that name")
)

// Dir is a data directory, or the directory of a single queue.
type Dir struct {
	Path   string
	Queues []Queue  // by directory name
	Others []string // names at the top that are none of the server's
	Trash  int      // deleted queues on their way out

	fs     disk.FS
	single bool
	root   string // the data directory, "" for a queue's directory that stands alone
	above  string // where a server would lock a queue's directory, "" if none would serve it
}

// Queue is one queue's directory.
type Queue struct {
	Name string // as clients call it
	Path string
}

// Open lists a data directory, or a single queue's, which is told by the names of the files that only
// a log has. It changes nothing.
func Open(fsys disk.FS, path string, ofLog func(name string) bool) (*Dir, error) {
	path = filepath.Clean(path)
	entries, err := fsys.ReadDir(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: path, fs: fsys, root: path}
	known, isLog := false, holdsLog(entries, ofLog)
	for _, e := range entries {
		switch name, isQueue := QueueName(e.Name); {
		case e.Name == QuarantineName:
		case servers(e.Name):
			known = true
		case e.Name == TrashName:
			known = true
			trash, _ := fsys.ReadDir(filepath.Join(path, TrashName))
			d.Trash = len(trash)
		case e.Dir && isQueue:
			d.Queues = append(d.Queues, Queue{name, filepath.Join(path, e.Name)})
		default:
			d.Others = append(d.Others, e.Name)
		}
	}
	if isLog && !known {
		return openQueue(fsys, path)
	}
	if !known && !d.looksRight(ofLog) {
		return nil, fmt.Errorf("%s: %w", path, ErrNotData)
	}
	return d, nil
}

func holdsLog(entries []disk.Entry, ofLog func(name string) bool) bool {
	return slices.ContainsFunc(entries, func(e disk.Entry) bool { return !e.Dir && ofLog(e.Name) })
}

// looksRight reports whether some directory in it holds a log: a copy may lack the files with a dot.
func (d *Dir) looksRight(ofLog func(name string) bool) bool {
	return slices.ContainsFunc(d.Queues, func(q Queue) bool {
		entries, _ := d.fs.ReadDir(q.Path)
		return holdsLog(entries, ofLog)
	})
}

func openQueue(fsys disk.FS, path string) (*Dir, error) {
	path, err := realPath(fsys, path)
	if err != nil {
		return nil, err
	}
	name, ok := QueueName(filepath.Base(path))
	if !ok {
		name = filepath.Base(path)
	}
	d := &Dir{Path: path, fs: fsys, single: true, Queues: []Queue{{name, path}}}
	parent := filepath.Dir(path)
	if ok {
		d.above = parent
	}
	if entries, err := fsys.ReadDir(parent); err == nil && ok {
		for _, e := range entries {
			if e.Name == LockName && !e.Dir {
				d.root = parent
			}
		}
	}
	return d, nil
}

// realPath is where a queue's directory is, whatever leads there: the lock is in the directory above.
func realPath(fsys disk.FS, path string) (string, error) {
	if _, real := fsys.(disk.OS); !real {
		return path, nil // links are the operating system's
	}
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err == nil {
			wd, err = filepath.EvalSymlinks(wd) // it may be where a link led, and .. is not where that is
		}
		if err != nil {
			return "", err
		}
		path = filepath.Join(wd, path)
	}
	return filepath.EvalSymlinks(path)
}

// Find returns the queue of a name. ErrNoQueue if there is none.
func (d *Dir) Find(name string) (Queue, error) {
	for _, q := range d.Queues {
		if q.Name == name {
			return q, nil
		}
	}
	return Queue{}, fmt.Errorf("%s: %q: %w", d.Path, name, ErrNoQueue)
}

// Quarantine is where damaged bytes of a queue are set aside, by the server and by tools alike.
func (d *Dir) Quarantine(q Queue) string {
	root := d.root
	if root == "" {
		root = q.Path
	}
	return filepath.Join(root, QuarantineName, filepath.Base(q.Path))
}

// Lock takes the data directory's lock for a tool that is going to change something. While a server
// has it, it is disk.ErrLocked. Above a queue's directory that stands alone it is taken too, so that no
// server comes meanwhile, if anything can be written there.
func (d *Dir) Lock() (io.Closer, error) {
	dir := d.root
	if dir == "" {
		dir = d.above
	}
	if dir == "" {
		return none{}, nil
	}
	lock, err := Lock(d.fs, dir)
	switch {
	case errors.Is(err, disk.ErrLocked):
		return nil, fmt.Errorf("%s is in use: stop the server first (or the other tool): %w", dir, err)
	case d.root == "" && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)):
		return none{}, nil
	}
	return lock, err
}

// LockForReading takes the lock for a tool that only reads, and leaves no file where there was none:
// without a lock file no server is there. Where nothing can be locked, for want of rights or of a
// file system that can be written, unlocked says why and the tool may go on.
func (d *Dir) LockForReading() (lock io.Closer, unlocked, err error) {
	if d.root == "" {
		return none{}, nil, nil
	}
	f, err := d.fs.OpenRead(filepath.Join(d.root, LockName))
	if errors.Is(err, fs.ErrNotExist) {
		return none{}, nil, nil
	}
	if err == nil {
		f.Close()
	}
	lock, err = d.Lock()
	if err != nil && !errors.Is(err, disk.ErrLocked) {
		return none{}, err, nil
	}
	return lock, nil, err
}

type none struct{}

func (none) Close() error { return nil }
