package wal

// How a consumer leaves a log.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/wal/internal/files"
)

// RemoveConsumer ends a consumer other than the log's own. When it returns, the offset file is gone
// for good, even after a power cut, and what only this consumer held back may be deleted. Later
// calls of the Consumer's methods return ErrClosed. It is no error if there is no such consumer. It
// waits for the disk. After an error the consumer is still there, but a crash soon after may end
// it.
func (l *Log) RemoveConsumer(name string) error {
	if name == "" {
		return errors.New("a log's own consumer cannot be removed")
	}
	defer l.compaction.interrupt()()
	l.cleaning.Lock()
	defer l.cleaning.Unlock()
	l.preparing.Lock() // nobody makes offset files
	defer l.preparing.Unlock()
	l.commit.syncing.Lock() // nor replaces or syncs them
	defer l.commit.syncing.Unlock()
	l.mu.Lock()
	c, err := l.consumers[name], l.usableLocked()
	l.mu.Unlock()
	if err != nil || c == nil {
		return err
	}
	// It holds its items back until its file is gone for good: a consumer that a power cut brings
	// back must find what it has yet to take.
	if err := l.removeOffsets(name); err != nil {
		err = fmt.Errorf("cannot remove consumer %s: %w", name, err)
		return errors.Join(err, c.replaceFile())
	}
	return c.end()
}

// removeOffsets removes a consumer's files, durably. An unfinished rewrite goes first: alone it
// would be taken for the consumer's file. What would undo a rewind goes before the file too: it
// is nothing to a later consumer of that name.
func (l *Log) removeOffsets(name string) error {
	path := l.path(files.OffsetName(name))
	for _, path := range []string{path + files.RewriteSuffix, path + files.UndoSuffix, path} {
		if err := l.fs.Remove(path); err != nil && !isNotExist(err) {
			return err
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail(err)
	}
	return nil
}

// replaceFile has the file of a consumer that stays made anew, because its name may be gone. It
// takes Log.mu.
func (c *Consumer) replaceFile() error {
	l := c.l
	l.mu.Lock()
	off := c.off
	c.off = nil
	if !l.closed {
		c.requestFile()
	}
	l.mu.Unlock()
	if off == nil {
		return nil
	}
	return off.Close()
}

// end removes a consumer from the log once its file is gone. It takes Log.mu.
func (c *Consumer) end() error {
	l := c.l
	l.mu.Lock()
	off := c.off
	c.off, c.f, c.ended = nil, nil, true
	c.isReady(nil)
	delete(l.consumers, c.name)
	l.uploads.sweep = l.uploads.count > 0
	if !l.closed {
		l.checkEmptyLocked()
		l.requestCleanup()
		l.compaction.request()
	}
	l.mu.Unlock()
	if off == nil {
		return nil
	}
	return off.Close()
}

// isClosed reports whether the consumer or its log has ended.
func (c *Consumer) isClosed() bool { return c.ended || c.l.closed }
