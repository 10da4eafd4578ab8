package queue

// Package wal as the log of a store: the same methods, in terms of this package's interfaces.

import (
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

type walLogs struct{}

func (walLogs) open(dir string, o wal.Options) (log, error) {
	l, err := wal.Open(dir, o)
	if err != nil {
		return nil, err
	}
	return walLog{l}, nil
}

func (walLogs) glance(fsys disk.FS, dir string) (wal.Glance, error) { return wal.Look(fsys, dir) }

type walLog struct{ *wal.Log }

func (l walLog) BeginLarge(size int64, m Meta) (largeBody, error) {
	w, err := l.Log.BeginLarge(size, m)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (l walLog) TryUpload(size int, m Meta) (inlineBody, error) {
	u, err := l.Log.TryUpload(size, m)
	if err != nil {
		return nil, err
	}
	return u, nil
}

func (l walLog) Cursor(name string, from wal.Start) (cursor, error) {
	c, err := l.Log.Consumer(name, from)
	if err != nil {
		return nil, err
	}
	return &walCursor{Consumer: c, log: l.Log}, nil
}

type walCursor struct {
	*wal.Consumer
	log *wal.Log
}

func (c *walCursor) Read(p Position, dst []byte) ([]byte, error) {
	out, _, err := c.log.Read(p, dst)
	return out, err
}

func (c *walCursor) TryRead(p Position, dst []byte) ([]byte, error) {
	return c.log.TryRead(p, dst)
}

func (c *walCursor) Borrow(p Position) (Loan, error)    { return c.log.Borrow(p) }
func (c *walCursor) TryBorrow(p Position) (Loan, error) { return c.log.TryBorrow(p) }

func (c *walCursor) Origin(p Position) (*wal.Origin, error) { return c.log.Origin(p) }

func (c *walCursor) Open(p Position) (Body, error) {
	r, err := c.log.Open(p)
	if err != nil {
		return nil, err
	}
	return r, nil
}
