package memcache

// What all sessions of a server share.

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/status"
)

// Env is what all sessions of a server share. Its fields are set before the first session starts.
// What Live has may change later, by Change.
type Env struct {
	Registry Registry
	Counters *metrics.Counters
	Logger   *slog.Logger
	Episodes *metrics.Episodes // of troubles that last; may be nil

	// Status is what the server takes from its clients. As it becomes quiescent, whoever made it
	// has the queues end all waits.
	Status *status.Status

	// Now is the time of day in Unix ms, Steady the ms since about the start by a clock that nobody
	// sets, never 0. Every request asks for them, so they may be cached.
	Now    func() int64
	Steady func() int64

	// A larger item, in bytes, is streamed.
	InlineMax  int
	SyncAlways bool // every SET is answered when its item is on stable storage

	Live    // at the start
	changed atomic.Pointer[Live]

	Version  string
	PID      int
	Threads  int                                 // that serve connections
	Usage    func() (user, system time.Duration) // of the processor, by this process
	Settings func() []Setting                    // the answer to "stats settings"

	FlushAfter func(delay time.Duration) // flushes everything after the delay of a flush_all

	// Reload takes over the configuration, or changes nothing and says why. It may wait for the
	// disk. Shutdown has the server stop, and returns at once. Without one, its command is refused.
	Reload   func() error
	Shutdown func()

	// QueueSettings are those in force for a queue, the answer to "dump_config". It may be nil.
	QueueSettings func(name string) []Setting

	foreignsSeen foreignsSeen
	audited      audited
	chunks       sync.Pool // *[chunkSize]byte
}

// Live are the settings that may change while sessions run.
type Live struct {
	MaxItemSize  int64 // a larger item, in bytes, is refused
	MaxOpenReads int   // items of one queue that a connection may have open
	MaxOpenAhead int   // items in all that it may have open when it opens one with /ahead
	Admin        Access
	Dialect      Dialect
	MaxBytes     int64 // that all items may take: see "limit_maxbytes"
}

// Change has other settings apply to all sessions, from their next request on. Any goroutine may
// call it.
func (e *Env) Change(l Live) { e.changed.Store(&l) }

// live are the settings in force.
func (e *Env) live() *Live {
	if l := e.changed.Load(); l != nil {
		return l
	}
	return &e.Live
}

// Setting is one line of the configuration in force.
type Setting struct{ Name, Value string }

// Access says who may use the administrator's commands.
type Access uint8

const (
	AccessDefault Access = iota // each command's own, see lookup
	AccessLocal                 // loopback and Unix-socket peers
	AccessAll
	AccessOff
)

// chunkSize is the unit in which large bodies move.
const chunkSize = 64 << 10

func (e *Env) getChunk() *[chunkSize]byte {
	if c, ok := e.chunks.Get().(*[chunkSize]byte); ok {
		return c
	}
	return new([chunkSize]byte)
}

func (e *Env) putChunk(c *[chunkSize]byte) { e.chunks.Put(c) }
