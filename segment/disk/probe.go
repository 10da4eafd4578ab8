package disk

// Some file systems, above all on a network or in user space, lack something that a log needs. That
// should be found when a program starts, not by its first item.

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"syscall"
)

// ErrUnfit is Probe's error when a file system cannot do something that a log needs.
var ErrUnfit = errors.New("the file system is unfit for a log")

// The names of the two files of a Probe. A process that dies meanwhile may leave them.
const (
	ProbeName    = ".probe"
	ProbeNewName = ".probe.new"
)

// Probe tries in a directory what a log does with files: make, allocate, map, store, rename an open
// file over another, remove. An error says what does not work. It is an ErrUnfit unless it is an
// error that any file system has at times. On a full disk Probe finds nothing wrong, because a log
// can be read there. It takes a millisecond or two. With syncs set it also syncs, which may take as
// long as the disk likes. Run only one at a time in a directory.
func Probe(fsys FS, dir string, syncs bool) error {
	p := probe{
		fs:  fsys,
		old: filepath.Join(dir, ProbeName), fresh: filepath.Join(dir, ProbeNewName),
	}
	p.remove() // leftovers
	err := p.run(dir, syncs)
	p.close()
	if e := p.remove(); err == nil && e != nil {
		err = unfit("remove files", e)
	}
	if IsFull(err) {
		return nil
	}
	return err
}

// unfit wraps an error: as ErrUnfit, unless it is one that any file system has at times.
func unfit(what string, err error) error {
	common := IsTransient(err)
	for _, e := range []error{syscall.EACCES, syscall.EROFS, syscall.EIO} {
		common = common || errors.Is(err, e)
	}
	if common {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	return fmt.Errorf("%w: it cannot %s: %w", ErrUnfit, what, err)
}

type probe struct {
	fs         FS
	old, fresh string
	open       []probed
}

// probed is an open file and its map, if it has one.
type probed struct {
	f File
	m []byte
}

const probeSize = 8 << 10 // more than one page

func (p *probe) run(dir string, syncs bool) error {
	if _, err := p.make(p.old, "old"); err != nil {
		return err
	}
	f, err := p.make(p.fresh, "new")
	if err != nil {
		return err
	}
	if syncs {
		if err := f.Sync(); err != nil {
			return unfit("sync files", err)
		}
	}
	if err := p.fs.Rename(p.fresh, p.old); err != nil {
		return unfit("rename an open file over another", err)
	}
	if syncs {
		if err := p.fs.SyncDir(dir); err != nil {
			return unfit("sync directories", err)
		}
	}
	again, err := p.fs.OpenRead(p.old)
	if err != nil {
		return unfit("open a file that was renamed", err)
	}
	p.open = append(p.open, probed{f: again})
	return holds(again, "new")
}

// make makes a file, stores a text into a map of it, and writes the text elsewhere in it.
func (p *probe) make(name, text string) (File, error) {
	f, err := p.fs.Create(name)
	if err != nil {
		return nil, unfit("create files", err)
	}
	p.open = append(p.open, probed{f: f})
	if err := f.Allocate(0, probeSize); err != nil {
		return nil, unfit("allocate space", err)
	}
	m, err := f.Map(probeSize, true)
	if err != nil {
		return nil, unfit("map files into memory for writing that others see (MAP_SHARED)", err)
	}
	p.open[len(p.open)-1].m = m
	if err := touch(func() { copy(m[probeSize/2:], text) }); err != nil {
		return nil, unfit("store into a map", err)
	}
	if err := holds(f, text); err != nil {
		return nil, err
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return nil, unfit("write files", err)
	}
	seen := false
	if err := touch(func() { seen = string(m[:len(text)]) == text }); err != nil {
		return nil, unfit("read a map", err)
	}
	if !seen {
		return nil, unfit("show in a map what is written to its file", errors.New("other bytes are there"))
	}
	return f, nil
}

// holds reads the file to check what was stored into a map.
func holds(f File, text string) error {
	b := make([]byte, len(text))
	if _, err := f.ReadAt(b, probeSize/2); err != nil {
		return unfit("read files", err)
	}
	if !bytes.Equal(b, []byte(text)) {
		return unfit("show in a file what is stored into a map of it",
			fmt.Errorf("%q is there instead of %q", b, text))
	}
	return nil
}

// touch calls fn, which touches a map. A fault there becomes an error.
func touch(fn func()) (err error) {
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}(debug.SetPanicOnFault(true))
	fn()
	return nil
}

func (p *probe) close() {
	for _, o := range p.open {
		if o.m != nil {
			o.f.Unmap(o.m)
		}
		o.f.Close()
	}
}

func (p *probe) remove() error {
	var errs []error
	for _, name := range []string{p.old, p.fresh} {
		if err := p.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
