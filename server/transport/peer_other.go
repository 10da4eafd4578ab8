//go:build !linux

package transport

// Where the system does not tell of the other end, only reading and writing do.

import (
	"net"
	"syscall"
	"time"
)

func hungUp(net.Conn) bool { return false }

func broken(net.Conn) bool { return false }

func asked(net.Conn, func(int) bool) bool { return false }

func silent(int) bool { return false }

func unanswered(int, int64) bool { return false }

func holder(net.Conn) func(bool) { return func(bool) {} }

func undelivered(int) bool { return false }

func unread(int) bool { return false }

func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
