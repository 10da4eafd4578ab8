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
	"syscall"
	"time"

	"github.com/darner/darner/server/memcache"
)

// TCPOptions say when a TCP client whose system does not answer is taken for gone. The zero value leaves it to the
// system, which takes a quarter of an hour, and for ever where nothing is on its way.
type TCPOptions struct {
	// UserTimeout is how long what was sent may go unacknowledged, or find no room at the client; whole
	// milliseconds count. It has no effect where the system knows no TCP_USER_TIMEOUT.
	UserTimeout time.Duration
	// Keepalive is the silence after which the client's system is asked whether it is there, then
	// askAgain times more within the same time; whole seconds count.
	Keepalive time.Duration
}

const askAgain = 4

func (o TCPOptions) keepalive() net.KeepAliveConfig {
	return net.KeepAliveConfig{
		Enable: o.Keepalive > 0, Idle: o.Keepalive, Interval: max(o.Keepalive/askAgain, time.Second), Count: askAgain,
	}
}

// ListenTCP listens on a host or address; port 0 takes any free one.
func ListenTCP(host string, port int, o TCPOptions) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, KeepAliveConfig: o.keepalive()}
	if o.UserTimeout > 0 {
		lc.Control = func(_, _ string, c syscall.RawConn) error { return setUserTimeout(c, o.UserTimeout) }
	}
	return lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}

// socketMode lets the server's user and group connect.
const socketMode fs.FileMode = 0o660

// ListenUnix listens on a Unix socket. A socket file that a killed server left behind is replaced;
// one that a running server listens on, or a file that is no socket, is an error.
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
		return fmt.Errorf("%s exists and is no socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return fmt.Errorf("another server listens on %s", path)
	}
	return os.Remove(path)
}

// peerOf is who is at the other end of a connection.
func peerOf(c net.Conn) memcache.Peer {
	addr := c.RemoteAddr()
	tcp, ok := addr.(*net.TCPAddr)
	return memcache.Peer{Addr: addr.String(), Local: !ok || tcp.IP.IsLoopback()}
}
