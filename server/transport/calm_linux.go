package transport

// Memory that connections used and do not need while they are silent goes back to the system: the
// collector would come to it in minutes.

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

type calm struct {
	rested atomic.Int32 // sessions that rest or are closed, since memory was given back
	timer  *time.Timer
}

const (
	calmRested = 250             // sessions whose memory is worth it
	calmDelay  = 5 * time.Second // for others that are about to rest
)

func newCalm() *calm {
	m := &calm{}
	m.timer = time.AfterFunc(time.Hour, func() {
		m.rested.Store(0)
		runtime.GC() // pools give up what lay in them at two collections running
		debug.FreeOSMemory()
	})
	m.timer.Stop()
	return m
}

func (m *calm) note() {
	if m.rested.Add(1) == calmRested {
		m.timer.Reset(calmDelay)
	}
}

func (m *calm) stop() { m.timer.Stop() }
