package transport

// A loop's mailbox. Other goroutines post connections to it, and ring the loop if it sleeps.

import (
	"sync"

	"golang.org/x/sys/unix"
)

type mailbox struct {
	event int // an eventfd that ends the loop's wait

	mu     sync.Mutex
	posted []*epollConn
	spare  []*epollConn // the array that posted had before: the two take turns
	asleep bool         // the loop waits, or is about to: a post must ring
	closed bool         // the loop has ended
}

// post has the loop look at a connection, after another goroutine did something for it. It does not
// block.
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
		unix.Write(m.event, one[:])            // it fails only if the loop was rung anyway
	}
}

// clearRing makes the next wait wait again.
func (m *mailbox) clearRing() {
	var b [8]byte
	unix.Read(m.event, b[:])
}

// sleep notes that the loop is about to wait, or has waited. It is false if there is mail: then the
// loop must not wait.
func (m *mailbox) sleep(asleep bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asleep = asleep && len(m.posted) == 0
	return m.asleep
}

// takePosted returns the connections that were posted. The slice is valid until the next call.
func (m *mailbox) takePosted() []*epollConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	posted := m.posted
	m.posted, m.spare = m.spare[:0], posted
	return posted
}

// close ends ringing.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.event >= 0 {
		unix.Close(m.event)
	}
}
