package transport

// How others reach a loop: they post a connection, and ring if the loop sleeps.

import (
	"sync"

	"golang.org/x/sys/unix"
)

type mailbox struct {
	event int // an eventfd that ends the loop's wait

	mu     sync.Mutex
	posted []*epollConn
	spare  []*epollConn // the other array, for posted
	asleep bool         // the loop waits, or is about to: whoever posts has to ring
	closed bool         // the loop has ended
}

// post has the loop look at a connection, for what another goroutine did. It does not block.
func (m *mailbox) post(c *epollConn) {
	if c.posted.Swap(true) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posted = append(m.posted, c)
	if m.asleep {
		m.asleep = false
		m.ringLocked()
	}
}

// ring ends the loop's wait.
func (m *mailbox) ring() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ringLocked()
}

func (m *mailbox) ringLocked() {
	if !m.closed {
		one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // in either byte order
		unix.Write(m.event, one[:])            // full is as good as rung
	}
}

// rung takes the ring back.
func (m *mailbox) rung() {
	var b [8]byte
	unix.Read(m.event, b[:])
}

// sleep notes whether the loop is about to wait; it may not when there is mail.
func (m *mailbox) sleep(asleep bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asleep = asleep && len(m.posted) == 0
	return m.asleep
}

// take returns what was posted, until it is called again.
func (m *mailbox) take() []*epollConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	posted := m.posted
	m.posted, m.spare = m.spare[:0], posted
	return posted
}

// close has nobody ring any more.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.event >= 0 {
		unix.Close(m.event)
	}
}
