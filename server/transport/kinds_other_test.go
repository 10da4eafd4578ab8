//go:build !linux

package transport

var kinds = []kind{goroutines}

// ringLoops has the loops of a transport look at the clock: there are none here.
func ringLoops(transport) {}
