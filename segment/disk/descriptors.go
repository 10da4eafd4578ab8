package disk

// The descriptors of a process, shared by its clients and its files. Most files can do without for
// a while: a map needs none, and a file can be opened again. So nobody has a part of his own. Who
// needs a descriptor when there are none left gets that of a file that has not used it for long.

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Descriptors are a number of descriptors that files ([OS].Descriptors) share with each other, and
// with whoever else calls Take. Its methods may be called from several goroutines, and wait for
// nothing but the opening and closing of files.
//
// A file gives its descriptor up only while it is mapped, or when it is open for reading alone. The
// kernel remembers an error of writing a file back as long as somebody has it, which a map does
// too: so the next Sync still reports it. A file that is removed while it is open keeps its
// descriptor from then on.
type Descriptors struct {
	limit int

	// mu is a leaf, but for handle.using, which is only tried with it held.
	mu    sync.Mutex
	taken int
	idle  []*handle            // those that have a descriptor and could do without
	hand  int                  // where in idle to look next for one to give up
	names map[string][]*handle // all open files, by directory
}

// NewDescriptors returns that many descriptors. The process should have some more, for what does
// not ask.
func NewDescriptors(limit int) *Descriptors {
	return &Descriptors{limit: limit, names: make(map[string][]*handle)}
}

// Take takes a descriptor, until Give. It is false if all are taken by those that cannot do
// without.
func (d *Descriptors) Take() bool {
	d.mu.Lock()
	if d.taken < d.limit {
		d.taken++
		d.mu.Unlock()
		return true
	}
	f := d.reclaimLocked()
	d.mu.Unlock()
	if f == nil {
		return false
	}
	f.Close() // nothing is lost: the file is mapped, or only read
	return true
}

// mustTake takes a descriptor beyond the limit if need be.
func (d *Descriptors) mustTake() {
	if !d.Take() {
		d.mu.Lock()
		d.taken++
		d.mu.Unlock()
	}
}

// Give gives a descriptor back.
func (d *Descriptors) Give() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken--
}

// Shed closes a descriptor that a file can do without. It is false if there is none. It is for
// whoever meets a shortage all the same, because the process has fewer than it should.
func (d *Descriptors) Shed() bool {
	d.mu.Lock()
	f := d.reclaimLocked()
	if f != nil {
		d.taken--
	}
	d.mu.Unlock()
	if f == nil {
		return false
	}
	f.Close()
	return true
}

// reclaimLocked takes the descriptor of a file that has not used it since the hand last came by;
// nil if none can do without. The caller closes it.
func (d *Descriptors) reclaimLocked() *os.File {
	for range 2 * len(d.idle) {
		if d.hand >= len(d.idle) {
			d.hand = 0
		}
		h := d.idle[d.hand]
		if !h.used.Load() {
			if f := h.tryGiveUp(); f != nil {
				d.removeIdleLocked(h)
				return f
			}
		}
		h.used.Store(false)
		d.hand++
	}
	return nil
}

// setIdleLocked enters a file among those that could give a descriptor up, or removes it.
func (d *Descriptors) setIdleLocked(h *handle) {
	switch idle := h.holds && h.spares && !h.nameless; {
	case idle && h.at == 0:
		d.idle = append(d.idle, h)
		h.at = len(d.idle)
	case !idle && h.at != 0:
		d.removeIdleLocked(h)
	}
}

func (d *Descriptors) removeIdleLocked(h *handle) {
	last := d.idle[len(d.idle)-1]
	d.idle[h.at-1], last.at = last, h.at
	d.idle[len(d.idle)-1] = nil
	d.idle = d.idle[:len(d.idle)-1]
	h.at = 0
}

// update changes what is known of a file.
func (d *Descriptors) update(h *handle, change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.setIdleLocked(h)
}

// enter adds a file that was opened.
func (d *Descriptors) enter(h *handle) {
	d.update(h, func() {
		h.holds = true
		d.nameLocked(h)
	})
}

// leave removes a file that is closed, and gives back the descriptor that it had.
func (d *Descriptors) leave(h *handle) {
	d.update(h, func() {
		if h.holds {
			d.taken--
		}
		h.holds = false
		d.unnameLocked(h)
	})
}

// nameLocked enters a file under its name.
func (d *Descriptors) nameLocked(h *handle) {
	dir, _ := filepath.Split(h.name)
	d.names[dir] = append(d.names[dir], h)
}

// unnameLocked undoes that. It is false if the file has no name any more.
func (d *Descriptors) unnameLocked(h *handle) bool {
	dir, _ := filepath.Split(h.name)
	all := d.names[dir]
	i := slices.Index(all, h)
	if i < 0 {
		return false
	}
	if all = slices.Delete(all, i, i+1); len(all) == 0 {
		delete(d.names, dir)
	} else {
		d.names[dir] = all
	}
	return true
}

// at returns the open files of a name, or in the directory of that name.
func (d *Descriptors) at(name string) (files, inside []*handle) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, _ := filepath.Split(name)
	for _, h := range d.names[dir] {
		if h.name == name {
			files = append(files, h)
		}
	}
	return files, slices.Clone(d.names[name+string(filepath.Separator)])
}

// remove removes a name. Files that are open under it keep their descriptors from then on: nobody
// could open them again.
func (d *Descriptors) remove(name string, remove func() error) error {
	files, _ := d.at(name)
	for _, h := range files {
		d.update(h, func() { h.nameless = true })
		if _, err := h.hold(); err == nil { // if it cannot be opened, it was gone before
			h.release()
		}
	}
	err := remove()
	for _, h := range files {
		d.update(h, func() {
			if h.nameless = err == nil; h.nameless {
				d.unnameLocked(h)
			}
		})
	}
	return err
}

// rename renames a file or directory. Files that are open under the name go by the new one from
// then on, and meanwhile by both.
func (d *Descriptors) rename(from, to string, rename func() error) error {
	moved, inside := d.at(from)
	d.setNext(moved, func(*handle) string { return to })
	d.setNext(inside, func(h *handle) string { return filepath.Join(to, filepath.Base(h.name)) })
	err := d.remove(to, rename)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range append(moved, inside...) {
		if err == nil && d.unnameLocked(h) {
			h.name = h.next
			d.nameLocked(h)
		}
		h.next = ""
	}
	return err
}

func (d *Descriptors) setNext(files []*handle, next func(*handle) string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range files {
		h.next = next(h)
	}
}

// namesOf returns the name of an open file, and the one that it is being given; "" if none.
func (d *Descriptors) namesOf(h *handle) (name, next string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return h.name, h.next
}

// open opens a file for which a descriptor was taken. If the system has fewer than there should be,
// files that can do without give theirs up.
func (d *Descriptors) open(open func() (*os.File, error)) (*os.File, error) {
	for {
		f, err := open()
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) || !d.Shed() {
			return f, err
		}
	}
}
