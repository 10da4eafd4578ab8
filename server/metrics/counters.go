// Package metrics counts what the server does, for everybody who shows it: the protocol's "stats",
// and whatever else an operator looks at. Sessions and transports count; what the queues hold they
// count themselves (queue.Registry.Sum).
package metrics

import "sync/atomic"

// Counters are the process-wide figures that no queue keeps. They may be read at any time.
type Counters struct {
	// Counted by sessions. A get of several keys counts each; peeks count as CmdPeek alone.
	CmdGet, CmdSet, CmdPeek, GetHits, GetMisses atomic.Uint64
	// Counted by transports.
	Connections, TotalConnections, RejectedConnections, BytesRead, BytesWritten atomic.Uint64
}

// Reset sets all to zero but the number of connections there are.
func (c *Counters) Reset() {
	for _, n := range []*atomic.Uint64{
		&c.CmdGet, &c.CmdSet, &c.CmdPeek, &c.GetHits, &c.GetMisses,
		&c.TotalConnections, &c.RejectedConnections, &c.BytesRead, &c.BytesWritten,
	} {
		n.Store(0)
	}
}
