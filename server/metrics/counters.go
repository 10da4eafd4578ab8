// Package metrics counts what the server does, for all that show it: the protocol's "stats", and
// others to come. Sessions and transports count here; queues count for themselves (see
// queue.Registry.Sum).
package metrics

import "sync/atomic"

// Counters are the figures of the process that belong to no queue. They may be read at any time.
type Counters struct {
	// Counted by sessions. A get of several keys counts each key; a peek counts as CmdPeek alone.
	// CmdSet counts what was stored, Refused what was not.
	CmdGet, CmdSet, CmdPeek, GetHits, GetMisses atomic.Uint64
	CmdFlush, DeleteHits, DeleteMisses          atomic.Uint64
	Refused                                     [Refusals]atomic.Uint64
	// Counted by transports.
	Connections, TotalConnections, RejectedConnections, BytesRead, BytesWritten atomic.Uint64
}

// Reset sets all to zero, except Connections, the number of connections now.
func (c *Counters) Reset() {
	for _, n := range []*atomic.Uint64{
		&c.CmdGet, &c.CmdSet, &c.CmdPeek, &c.GetHits, &c.GetMisses,
		&c.CmdFlush, &c.DeleteHits, &c.DeleteMisses,
		&c.TotalConnections, &c.RejectedConnections, &c.BytesRead, &c.BytesWritten,
	} {
		n.Store(0)
	}
	for r := range c.Refused {
		c.Refused[r].Store(0)
	}
}
