package datadir

// A data directory as offline tools see it: which queues and what else it holds, who has its lock,
// and where damaged bytes are set aside.

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
	Others []string // names at the top that are not the server's
	Trash  int      // deleted queues on their way out

	fs     disk.FS
	single bool
	root   string // the data directory; "" if a single queue's directory is not in one
	above  string // where a server that served this single queue would lock; "" if none could
}

// Queue is one queue's directory.
type Queue struct {
	Name string // as clients call it
	Path string
}

// Open lists a data directory or the directory of a single queue. ofLog reports whether only a log
// has files of that name; a queue's directory is recognized by such files. Open changes nothing.
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
		case ofServer(e.Name):
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

// looksRight reports whether one of its directories holds a log. A copy may lack the files whose
// names begin with a dot.
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

// realPath returns where a queue's directory is after following links: the lock is in the directory
// above that.
func realPath(fsys disk.FS, path string) (string, error) {
	if _, real := fsys.(disk.OS); !real {
		return path, nil // only the operating system has links
	}
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err == nil {
			wd, err = filepath.EvalSymlinks(wd) // if a link led here, .. may be elsewhere
		}
		if err != nil {
			return "", err
		}
		path = filepath.Join(wd, path)
	}
	return filepath.EvalSymlinks(path)
}

// Find returns the queue of a name. The error is ErrNoQueue if there is none.
func (d *Dir) Find(name string) (Queue, error) {
	for _, q := range d.Queues {
		if q.Name == name {
			return q, nil
		}
	}
	return Queue{}, fmt.Errorf("%s: %q: %w", d.Path, name, ErrNoQueue)
}

// Quarantine returns the directory where the server and tools set aside damaged bytes of a queue.
func (d *Dir) Quarantine(q Queue) string {
	root := d.root
	if root == "" {
		root = q.Path
	}
	return filepath.Join(root, QuarantineName, filepath.Base(q.Path))
}

// Lock takes the data directory's lock for a tool that changes something. If a server has it, the
// error is disk.ErrLocked. For a queue's directory that is not in a data directory, Lock takes the
// lock in the directory above, if that can be written to, so that no server comes meanwhile.
func (d *Dir) Lock() (io.Closer, error) {
	dir := d.root
	if dir == "" {
		dir = d.above
	}
	if dir == "" {
		return noLock{}, nil
	}
	lock, err := Lock(d.fs, dir)
	switch {
	case errors.Is(err, disk.ErrLocked):
		return nil, fmt.Errorf("%s: %w: stop the server, or the other tool, first", dir,
			disk.ErrLocked)
	case d.root == "" && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)):
		return noLock{}, nil
	}
	return lock, err
}

// LockForReading takes the lock for a tool that only reads. It makes no file: without a lock file,
// there is no server. If the lock cannot be taken because of missing rights or a read-only file
// system, unlocked says why, and the tool may go on.
func (d *Dir) LockForReading() (lock io.Closer, unlocked, err error) {
	if d.root == "" {
		return noLock{}, nil, nil
	}
	f, err := d.fs.OpenRead(filepath.Join(d.root, LockName))
	if errors.Is(err, fs.ErrNotExist) {
		return noLock{}, nil, nil
	}
	if err == nil {
		f.Close()
	}
	lock, err = d.Lock()
	if err != nil && !errors.Is(err, disk.ErrLocked) {
		return noLock{}, err, nil
	}
	return lock, nil, err
}

// LockQueue takes the lock of a queue's log: a program without a server may have it open. Then the
// error is disk.ErrLocked. A file system without locks has none.
func (d *Dir) LockQueue(q Queue) (io.Closer, error) {
	lock, err := d.fs.LockDir(q.Path)
	switch {
	case errors.Is(err, disk.ErrLocked):
		return nil, fmt.Errorf("%s: %w: stop the program that has it open", q.Path, disk.ErrLocked)
	case err != nil:
		return noLock{}, nil
	}
	return lock, nil
}

type noLock struct{}

func (noLock) Close() error { return nil }
