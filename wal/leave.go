package wal

// A consumer leaves a log.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/wal/internal/files"
)

// RemoveConsumer ends a consumer, which is not the log's own: when it returns the offset file is
// gone, also after a power cut, and what only this consumer held back may be deleted. What is asked
// of the Consumer from then on is ErrClosed. There need be none of that name. It waits for the
// disk. After an error the consumer is there as it was, but a crash soon after may end it all the
// same.
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
	// It holds back what it has until its file is gone for good: one that a power cut brings back
	// must find what it has yet to take.
	if err := l.removeOffsets(name); err != nil {
		return errors.Join(fmt.Errorf("consumer %s cannot be removed: %w", name, err), c.replaceFile())
	}
	return c.end()
}

// removeOffsets removes a consumer's files, durably. A file about to take the other's name goes
// first: alone it would be taken for the consumer's.
func (l *Log) removeOffsets(name string) error {
	path := l.path(files.OffsetName(name))
	for _, path := range []string{path + files.RewriteSuffix, path} {
		if err := l.fs.Remove(path); err != nil && !isNotExist(err) {
			return err
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail(err)
	}
	return nil
}

// replaceFile has the file of a consumer that stays made anew: its name may be gone.
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

// end takes a consumer whose file is gone out of the log.
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

// isClosed reports that the consumer is of no use any more. Log.mu is held.
func (c *Consumer) isClosed() bool { return c.ended || c.l.closed }
