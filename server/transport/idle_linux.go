package transport

// Memory that connections used and do not need while they are silent: sessions give back theirs, and then it
// goes back to the system. The collector would come to it in minutes.

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// idleAfter is how long, in milliseconds, a session keeps what it needs for traffic.
const idleAfter = 1000

// markActive notes that a session works, and is to be looked at some time after.
func (l *loop) markActive(c *epollConn) {
	c.active = true
	if c.recent {
		return
	}
	c.recent = true
	l.recentlyActive = append(l.recentlyActive, c)
	if l.idleAt == 0 {
		l.idleAt = l.owner.clock.Steady() + idleAfter
	}
}

// releaseIdle has those sessions give back memory that did nothing since it was last called.
func (l *loop) releaseIdle() {
	busy := l.recentlyActive[:0]
	for _, c := range l.recentlyActive {
		switch {
		case c.closed:
			l.owner.releaser.note()
		case c.active, c.working:
			c.active = false
			busy = append(busy, c)
		default:
			c.session.ReleaseMemory()
			c.recent = false
			l.owner.releaser.note()
		}
	}
	clear(l.recentlyActive[len(busy):])
	l.recentlyActive, l.idleAt = busy, 0
	if len(busy) > 0 {
		l.idleAt = l.owner.clock.Steady() + idleAfter
	} else if cap(busy) > 1024 {
		l.recentlyActive = nil
	}
}

// memoryReleaser gives memory back to the system when many sessions gave back theirs.
type memoryReleaser struct {
	idle  atomic.Int32 // sessions that gave it back or are closed, since
	timer *time.Timer
}

const (
	releaseCount = 250             // sessions whose memory is worth it
	releaseDelay = 5 * time.Second // for others that are about to be idle
)

func newMemoryReleaser() *memoryReleaser {
	m := &memoryReleaser{}
	m.timer = time.AfterFunc(time.Hour, func() {
		m.idle.Store(0)
		runtime.GC() // pools give up what lay in them at two collections running
		debug.FreeOSMemory()
	})
	m.timer.Stop()
	return m
}

func (m *memoryReleaser) note() {
	if m.idle.Add(1) == releaseCount {
		m.timer.Reset(releaseDelay)
	}
}

func (m *memoryReleaser) stop() { m.timer.Stop() }
