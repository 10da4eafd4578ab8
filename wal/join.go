package wal

// A consumer joins a log that has items.

// join makes a consumer with a file that is on stable storage: a consumer that a crash forgets holds nothing
// back, and one of which a crash leaves half a file would ask for what is deleted. Meanwhile nothing is
// deleted.
func (l *Log) join(name string, from Start) (*Consumer, error) {
	l.urgent.Add(1) // compaction lets go of what it has in hand
	l.compacting.Lock()
	defer l.compacting.Unlock()
	l.urgent.Add(-1)
	l.tidying.Lock()
	defer l.tidying.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if c := l.consumers[name]; c != nil { // somebody was faster
		return c, nil
	}
	c := l.newConsumer(name, from)
	if from == Oldest && name != "" {
		c.passDead()
	}
	c.st.durable = l.durable
	capacity := max(l.offsetCapacity(), 4*c.live())
	l.mu.Unlock()
	err := WriteOffsets(l.fs, l.dir, &Offsets{Consumer: name, Created: c.st.created, Log: l.id, st: c.st})
	if err == nil {
		c.off, _, err = openOffsets(l.fs, l.path(offsetName(name)), capacity)
	}
	l.mu.Lock()
	if err != nil {
		return nil, l.refused(err)
	}
	if l.closed {
		c.off.close()
		return nil, ErrClosed
	}
	c.rewriteAt = max(l.rewriteBound(), 2*c.live())
	return l.register(c), nil
}
