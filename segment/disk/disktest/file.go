package disktest

// Open files.

import (
	"io"
	"io/fs"
	"syscall"
)

// handle is an open file.
type handle struct {
	fs       *FS
	node     *node
	name     string // as it was opened
	writable bool
	closed   bool
}

// begin starts a call. It asks the hook, takes the lock and checks the handle. Before a call that
// writes, it also checks what was stored into maps. If there is no error, the caller unlocks.
func (h *handle) begin(op Op, writes bool) error {
	if err := h.fs.ask(op, h.name); err != nil {
		return err
	}
	h.fs.mu.Lock()
	var err error
	switch {
	case h.closed:
		err = fs.ErrClosed
	case writes && !h.writable:
		err = syscall.EBADF
	default:
		if writes {
			h.fs.check(h.name, h.node) // first, because the call may make such a store legal
		}
		return nil
	}
	h.fs.mu.Unlock()
	return wrap(op, h.name, err)
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, wrap(OpRead, h.name, syscall.EINVAL)
	}
	if err := h.begin(OpRead, false); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	if off >= h.node.size {
		return 0, eof(p)
	}
	n := peek(p, h.node.buf[off:h.node.size])
	return n, eof(p[n:])
}

// eof returns io.EOF if something is left to read.
func eof(rest []byte) error {
	if len(rest) > 0 {
		return io.EOF
	}
	return nil
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, wrap(OpWrite, h.name, syscall.EINVAL)
	}
	if err := h.begin(OpWrite, true); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	done := 0
	for done < len(p) {
		at := off + int64(done)
		end := min((at/blockSize+1)*blockSize, off+int64(len(p)))
		if !h.fs.hasRoom(h.node, at, end) {
			return done, wrap(OpWrite, h.name, syscall.ENOSPC)
		}
		h.fs.allocate(h.node, at, end)
		done += copy(h.node.buf[at:end], p[done:])
	}
	return done, nil
}

func (h *handle) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.closed {
		return wrap("close", h.name, fs.ErrClosed)
	}
	h.fs.check(h.name, h.node)
	h.closed = true
	h.node.handles--
	h.fs.files--
	h.fs.release(h.node)
	return nil
}

// Held implements disk.File: there are no descriptors here.
func (h *handle) Held() bool { return true }

func (h *handle) Size() (int64, error) {
	if err := h.begin(OpSize, false); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	return h.node.size, nil
}

func (h *handle) Allocated() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.closed {
		return 0, wrap(OpSize, h.name, fs.ErrClosed)
	}
	return h.node.allocated() * blockSize, nil
}

func (h *handle) Truncate(size int64) error {
	if size < 0 {
		return wrap(OpTruncate, h.name, syscall.EINVAL)
	}
	if err := h.begin(OpTruncate, true); err != nil {
		return err
	}
	defer h.fs.mu.Unlock()
	h.fs.truncate(h.node, size)
	return nil
}

func (h *handle) Allocate(off, n int64) error {
	if off < 0 || n < 1 {
		return wrap(OpAllocate, h.name, syscall.EINVAL)
	}
	if err := h.begin(OpAllocate, true); err != nil {
		return err
	}
	defer h.fs.mu.Unlock()
	if !h.fs.hasRoom(h.node, off, off+n) {
		return wrap(OpAllocate, h.name, syscall.ENOSPC)
	}
	h.fs.allocate(h.node, off, off+n)
	return nil
}

func (h *handle) Sync() error {
	if err := h.fs.ask(OpSync, h.name); err != nil {
		h.fs.mu.Lock()
		defer h.fs.mu.Unlock()
		h.node.syncFailed = true
		return err
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.closed {
		return wrap(OpSync, h.name, fs.ErrClosed)
	}
	h.fs.check(h.name, h.node)
	h.node.sync()
	return nil
}

func (h *handle) Map(n int, writable bool) ([]byte, error) {
	if n < 1 {
		return nil, wrap(OpMap, h.name, syscall.EINVAL)
	}
	if err := h.begin(OpMap, false); err != nil {
		return nil, err
	}
	defer h.fs.mu.Unlock()
	if writable && !h.writable {
		return nil, wrap(OpMap, h.name, syscall.EACCES)
	}
	h.fs.maps++
	return h.node.mmap(n), nil
}

func (h *handle) Unmap(b []byte) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.fs.check(h.name, h.node)
	if !h.node.munmap(b) {
		return wrap("unmap", h.name, syscall.EINVAL)
	}
	h.fs.maps--
	h.fs.release(h.node)
	return nil
}

// ReadAhead, Populate and WriteOut only improve speed.
func (h *handle) ReadAhead(int64)              {}
func (h *handle) Populate([]byte)              {}
func (h *handle) WriteOut([]byte, int64) error { return nil }
