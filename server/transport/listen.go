package transport

// Listening sockets.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/darner/darner/server/memcache"
)

// TCPOptions say when a TCP client whose system does not respond counts as gone. The zero value
// leaves that to the system: it takes Linux a quarter of an hour, and forever if no data is in
// flight.
type TCPOptions struct {
	// UserTimeout is how long sent data may stay unacknowledged, or wait for room at the client, in
	// whole milliseconds. It has no effect on systems without TCP_USER_TIMEOUT.
	UserTimeout time.Duration
	// Keepalive is the silence after which the client's system is probed, in whole seconds. It is
	// probed probeCount times within the same time again.
	Keepalive time.Duration
}

const probeCount = 4

func (o TCPOptions) keepalive() net.KeepAliveConfig {
	return net.KeepAliveConfig{
		Enable: o.Keepalive > 0, Idle: o.Keepalive,
		Interval: max(o.Keepalive/probeCount, time.Second), Count: probeCount,
	}
}

// ListenTCP listens on a host or address; port 0 takes any free one.
func ListenTCP(host string, port int, o TCPOptions) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, KeepAliveConfig: o.keepalive()}
	if o.UserTimeout > 0 {
		lc.Control = func(_, _ string, c syscall.RawConn) error {
			return setUserTimeout(c, o.UserTimeout)
		}
	}
	return lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}

// socketMode lets the server's user and group connect.
const socketMode fs.FileMode = 0o660

// ListenUnix listens on a Unix socket. It replaces the socket file of a server that was killed. A
// socket that a running server listens on, or a file that is not a socket, is an error.
func ListenUnix(path string) (net.Listener, error) {
	if err := clearStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func clearStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("it exists and is not a socket")
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return errors.New("another server listens there")
	}
	return os.Remove(path)
}

// peerOf describes the other end of a connection. A client of a Unix socket has no address: it gets
// one of its process, where that is known, and a number of its own.
func peerOf(c net.Conn) memcache.Peer {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return memcache.Peer{Addr: tcp.String(), Local: tcp.IP.IsLoopback()}
	}
	addr := fmt.Sprintf("unix:%d#%d", processOf(c), unixClients.Add(1))
	return memcache.Peer{Addr: addr, Local: true}
}

// unixClients counts the clients that had a number.
var unixClients atomic.Uint64
