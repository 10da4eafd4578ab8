package memcache

// What all sessions of a server share.

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/server/metrics"
)

// Env is what all sessions of a server share. Its fields are set before the first session starts.
type Env struct {
	Registry Registry
	Counters *metrics.Counters
	Logger   *slog.Logger
	Now      func() int64 // Unix milliseconds; a cached clock will do, it is asked for every request
	Steady   func() int64 // milliseconds since about the start, by a clock that nobody sets, likewise; never 0

	MaxItemSize  int64 // bytes; a larger item is refused
	InlineMax    int   // bytes; a larger item is streamed. The transport's input buffers must be able to hold one, see Session.Need
	MaxOpenReads int   // items a connection may have open of one queue
	SyncAlways   bool  // every SET is answered when it is on stable storage
	Admin        Access

	Version    string
	PID        int
	Settings   []Setting                 // what "stats settings" answers
	FlushAfter func(delay time.Duration) // flush_all with a delay: flush everything then

	binarySeen atomic.Bool
	chunks     sync.Pool // *[chunkSize]byte
}

// Setting is one line of the configuration in force.
type Setting struct{ Name, Value string }

// Access says who may use the administrator's commands.
type Access uint8

const (
	AccessDefault Access = iota // each command's own: all for flush_all and delete, local for the rest
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
