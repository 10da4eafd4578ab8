//go:build !linux

package transport

// Where the system says nothing about the other end of a connection, only reading and writing do.

import (
	"net"
	"syscall"
	"time"
)

func processOf(net.Conn) int { return 0 }

func halfClosed(net.Conn) bool { return false }

func hungUp(net.Conn) bool { return false }

func askSocket(net.Conn, func(int) bool) bool { return false }

func unresponsive(int) bool { return false }

func ackMissing(int, int64) bool { return false }

func undelivered(int) bool { return false }

func unread(int) bool { return false }

func acknowledger(net.Conn) func() { return func() {} }

func corker(net.Conn) func(bool) { return func(bool) {} }

func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
