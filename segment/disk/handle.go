package disk

// An open file, which may be without a descriptor for a while.

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// handle is an open file. If it shares its descriptor, whoever needs that calls hold, and release
// after it.
type handle struct {
	shared *Descriptors // nil: the file keeps its descriptor
	flag   int          // how it was opened
	id     identity     // which file it is; only of one that shares

	opening sync.Mutex   // held while it is opened again
	using   sync.RWMutex // guards file and closed; held for reading while the descriptor is in use
	file    *os.File     // nil: it was given up
	closed  bool
	used    atomic.Bool // since Descriptors last looked

	// Descriptors.mu guards the rest, if it shares.
	name, next string // next: it is being renamed
	at         int    // place in Descriptors.idle, counted from 1; 0: none
	holds      bool   // it has a descriptor
	spares     bool   // it could do without
	nameless   bool   // it could not be opened again
}

// identity tells files apart.
type identity struct{ dev, ino uint64 }

func identityOf(s *unix.Stat_t) identity { return identity{uint64(s.Dev), uint64(s.Ino)} }

// openHandle opens a file, which shares its descriptor with others if shared is not nil.
func openHandle(shared *Descriptors, name string, flag int) (*handle, error) {
	h := &handle{shared: shared, flag: flag &^ (os.O_CREATE | os.O_EXCL), name: name}
	open := func() (*os.File, error) { return os.OpenFile(name, flag, filePerm) }
	var err error
	if shared == nil {
		h.file, err = open()
		return h, err
	}
	shared.mustTake()
	if h.file, err = shared.open(open); err != nil {
		shared.Give()
		return nil, err
	}
	var s unix.Stat_t
	if err := statFile(h.file, &s); err != nil {
		h.file.Close()
		shared.Give()
		return nil, h.wrap("stat", err)
	}
	h.id = identityOf(&s)
	h.used.Store(true)
	h.spares = h.flag == os.O_RDONLY
	shared.enter(h)
	return h, nil
}

func statFile(f *os.File, s *unix.Stat_t) error {
	return uninterrupted(func() error { return unix.Fstat(int(f.Fd()), s) })
}

// hold returns the file with a descriptor, until release.
func (h *handle) hold() (*os.File, error) {
	for {
		f, err := h.holdIfHeld()
		if f != nil || err != nil {
			return f, err
		}
		if err := h.reopen(); err != nil {
			return nil, err
		}
	}
}

// holdIfHeld is hold that returns nil for a file without a descriptor.
func (h *handle) holdIfHeld() (*os.File, error) {
	h.using.RLock()
	if h.file != nil {
		if !h.used.Load() {
			h.used.Store(true)
		}
		return h.file, nil
	}
	defer h.using.RUnlock()
	if h.closed {
		return nil, h.wrap("use", fs.ErrClosed)
	}
	return nil, nil
}

func (h *handle) release() { h.using.RUnlock() }

// Held implements File.
func (h *handle) Held() bool {
	h.using.RLock()
	defer h.using.RUnlock()
	return h.file != nil
}

// tryGiveUp returns the descriptor, unless it is in use. One that Close has taken is for Close to
// give back.
func (h *handle) tryGiveUp() *os.File {
	if !h.using.TryLock() {
		return nil
	}
	defer h.using.Unlock()
	f := h.file
	if f != nil {
		h.file, h.holds = nil, false
	}
	return f
}

// reopen opens a file again that has given its descriptor up.
func (h *handle) reopen() error {
	h.opening.Lock()
	defer h.opening.Unlock()
	if h.Held() {
		return nil
	}
	h.shared.mustTake()
	f, err := h.openAgain()
	if err != nil {
		h.shared.Give()
		return err
	}
	h.using.Lock()
	defer h.using.Unlock()
	if h.closed {
		f.Close()
		h.shared.Give()
		return h.wrap("use", fs.ErrClosed)
	}
	h.file = f
	h.used.Store(true)
	h.shared.update(h, func() { h.holds = true })
	return nil
}

// openAgain opens the file under its name, even if that changes meanwhile.
func (h *handle) openAgain() (*os.File, error) {
	for {
		name, next := h.shared.namesOf(h)
		f, err := h.openAs(name)
		if err != nil && next != "" {
			f, err = h.openAs(next)
		}
		if now, _ := h.shared.namesOf(h); err == nil || now == name {
			return f, err
		}
	}
}

// errOtherFile is for a file whose name somebody gave to another while it had no descriptor.
var errOtherFile = errors.New("another file has its name now")

func (h *handle) openAs(name string) (*os.File, error) {
	f, err := h.shared.open(func() (*os.File, error) { return os.OpenFile(name, h.flag, 0) })
	if err != nil {
		return nil, err
	}
	var s unix.Stat_t
	if err = statFile(f, &s); err == nil && identityOf(&s) != h.id {
		err = errOtherFile
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "open again", Path: name, Err: err}
	}
	return f, nil
}

// stat asks for a file's size and blocks. It is called often, so it does not allocate, as os.Stat
// would, and takes no descriptor from anybody.
func (h *handle) stat() (s unix.Stat_t, err error) {
	f, err := h.holdIfHeld()
	if err != nil {
		return s, err
	}
	if f == nil {
		if name, _ := h.shared.namesOf(h); unix.Lstat(name, &s) == nil && identityOf(&s) == h.id {
			return s, nil
		}
		if f, err = h.hold(); err != nil {
			return s, err
		}
	}
	defer h.release()
	if err := statFile(f, &s); err != nil {
		return unix.Stat_t{}, h.wrap("stat", err)
	}
	return s, nil
}

// setSpare says whether the file could do without a descriptor.
func (h *handle) setSpare(spare bool) {
	if h.shared != nil {
		h.shared.update(h, func() { h.spares = spare || h.flag == os.O_RDONLY })
	}
}

// Close implements File.
func (h *handle) Close() error {
	h.using.Lock()
	f, closed := h.file, h.closed
	h.file, h.closed = nil, true
	h.using.Unlock()
	if closed {
		return h.wrap("close", fs.ErrClosed)
	}
	var err error
	if f != nil {
		err = f.Close()
	}
	if h.shared != nil {
		h.shared.leave(h)
	}
	return err
}

func (h *handle) path() string {
	if h.shared == nil {
		return h.name
	}
	name, _ := h.shared.namesOf(h)
	return name
}

func (h *handle) wrap(op string, err error) error {
	var named *fs.PathError
	if err == nil || errors.As(err, &named) {
		return err
	}
	return &fs.PathError{Op: op, Path: h.path(), Err: err}
}
