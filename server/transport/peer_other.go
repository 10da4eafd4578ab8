//go:build !linux

package transport

// Where the system does not tell of the other end, only reading and writing do.

import "net"

func hungUp(net.Conn) bool { return false }

func undelivered(net.Conn) bool { return false }
