package transport

// Memory that connections do not need while they are silent. Idle sessions release theirs, and then
// it goes back to the system. Without this the collector would return it after minutes.

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/darner/darner/wal/clock"
)

// idleAfter is how long, in milliseconds, a session keeps the memory it needs for traffic.
const idleAfter = 1000

// markActive notes that a session works. releaseIdle looks at it later.
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

// releaseIdle has sessions release memory that did nothing since the last call.
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

// memoryReleaser gives memory back to the system after many sessions have released theirs.
type memoryReleaser struct {
	idle  atomic.Int32 // sessions that released it or were closed since it last did so
	timer clock.Timer
}

const (
	releaseCount = 250             // sessions whose memory is worth the effort
	releaseDelay = 5 * time.Second // others may become idle meanwhile
)

func newMemoryReleaser(c clock.Clock) *memoryReleaser {
	m := &memoryReleaser{}
	m.timer = c.AfterFunc(releaseDelay, func() {
		m.idle.Store(0)
		runtime.GC() // pools give up unused buffers after two collections in a row
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
