package wal

import (
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// How a consumer joins a log that has items.

// join makes a consumer whose file is on stable storage. Otherwise a crash might forget the
// consumer, which then holds nothing back, or leave half a file, which would ask for items that are
// deleted. Nothing is deleted meanwhile.
func (l *Log) join(name string, from Start) (*Consumer, error) {
	defer l.compaction.interrupt()()
	l.cleaning.Lock()
	defer l.cleaning.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if c := l.consumers[name]; c != nil { // another caller was faster
		return c, nil
	}
	c := l.newConsumerLocked(name, from)
	if from == Oldest && name != "" {
		c.passDead()
	}
	c.st.Durable = l.durable
	capacity := max(l.offsetCapacity(), 4*c.live())
	l.mu.Unlock()
	err := offset.Replace(l.fs, l.dir, name, &c.st, l.id)
	if err == nil {
		c.off, _, err = offset.Open(l.fs, l.path(files.OffsetName(name)), capacity)
	}
	l.mu.Lock()
	if err != nil {
		return nil, l.refusedLocked(err)
	}
	if l.closed {
		c.off.Close()
		return nil, ErrClosed
	}
	c.rewriteAt = max(l.rewriteBound(), 2*c.live())
	return l.registerLocked(c), nil
}
