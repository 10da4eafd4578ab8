package transport

// Clients whose machine is gone: the test has a network of its own, which goes down.

import (
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

// ownNetwork gives the goroutine a network namespace, for good. set sets its loopback up or down.
func ownNetwork(t *testing.T) (set func(up bool)) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("a network of its own needs root: %v", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	set = func(up bool) {
		t.Helper()
		lo, err := unix.NewIfreq("lo")
		if err != nil {
			t.Fatal(err)
		}
		if up {
			lo.SetUint16(unix.IFF_UP)
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	return set
}

// probed is the number of connections whose peer was probed and has not responded.
func probed(t *testing.T) (n int) {
	t.Helper()
	table, err := os.ReadFile("/proc/thread-self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(table), "\n")[1:] {
		if f := strings.Fields(line); len(f) > 8 && f[8] != "0" {
			n++
		}
	}
	return n
}

func TestTheItemsOfAClientThatVanishedComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("the system asks once a second")
	}
	both(t, func(t *testing.T, on kind) {
		network := ownNetwork(t)
		h := on.harness(t, 10)
		l, err := ListenTCP("127.0.0.1", 0, TCPOptions{UserTimeout: 2 * time.Second, Keepalive: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		h.serve(l)
		silent := h.dial()
		silent.say("set idle 0 0 1\r\na\r\nget idle/open\r\n", "STORED\r\nVALUE idle 0 1\r\na\r\nEND\r\n")
		h.dial().send("get answered/open/t=600000\r\n")
		h.dial().send("get plain/t=600000\r\n")
		h.until("answered", "waiter", waiters(1))
		h.until("plain", "waiter", waiters(1))
		network(false)
		put := func(name string) {
			q, err := h.registry.Queue([]byte(name))
			if err == nil {
				err = q.Put([]byte("x"), wal.Meta{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		put("answered") // the client cannot acknowledge it
		eventually(t, "question to both silent clients", func() bool { return probed(t) == 2 })
		put("plain") // the socket takes the answer, but the system knows better
		for _, name := range []string{"idle", "answered", "plain"} {
			h.until(name, "item that came back", func(s queue.Stats) bool { return s.Items == 1 && s.Open == 0 })
		}
	})
}

func TestClientsThatAreThereKeepTheirItemsHoweverLongTheyAreSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("the system asks once a second")
	}
	both(t, func(t *testing.T, on kind) {
		h := on.harness(t, 10)
		l, err := ListenTCP("127.0.0.1", 0, TCPOptions{UserTimeout: time.Second, Keepalive: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		h.serve(l)
		c := h.dial()
		c.say("set q 0 0 1\r\na\r\nget q/open\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
		c.say("get none/t=3500\r\n", "END\r\n")
		c.say("get q/close\r\n", "END\r\n")
	})
}

// A socket takes an answer for a client that sends no more, whether it still reads or not.
func TestAPlainGetsItemThatWentOutToAClientThatIsGoneComesBack(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		for range 20 { // the end of the client's input may be noticed too late
			l := on.lagging(t)
			q, err := l.registry.Queue([]byte("q"))
			if err == nil {
				err = q.Put([]byte("x"), wal.Meta{})
			}
			if err != nil {
				t.Fatal(err)
			}
			c := l.dial()
			request := sets(1, 1) + "get q\r\n"
			c.send(request)
			l.read(len(request))
			c.Close()
			l.dial().say("version\r\n", "VERSION ")
			l.release()
			eventually(t, "end of the connection", func() bool { return l.env.Counters.Connections.Load() == 1 })
			if s := q.Stats(); s.Items == 1 && s.Canceled == 1 {
				return
			}
		}
		t.Error("got no item that came back, want one")
	})
}

func TestAClientThatSendsNoMoreButReadsGetsItsItemOnce(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		const count = 300
		h.dial().say(strings.Repeat("set q 0 0 1\r\na\r\n", count), strings.Repeat("STORED\r\n", count))
		c := h.dial()
		c.send(strings.Repeat("get q\r\n", count))
		c.CloseWrite()
		c.expect(strings.Repeat("VALUE q 0 1\r\na\r\nEND\r\n", count))
		c.expectEnd()
		h.until("q", "item that is gone", func(s queue.Stats) bool { return s.Items == 0 && s.Open == 0 })
	})
}

func TestConnectionsHaveTheLimitsOfTheirListener(t *testing.T) {
	l, err := ListenTCP("127.0.0.1", 0, TCPOptions{UserTimeout: 90 * time.Second, Keepalive: 40 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	askSocket(accepted, func(fd int) bool {
		for _, x := range []struct{ level, option, want int }{
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 90_000}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 40}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probeCount},
		} {
			if got, err := unix.GetsockoptInt(fd, x.level, x.option); err != nil || got != x.want {
				t.Errorf("option %d: got %d, %v, want %d", x.option, got, err, x.want)
			}
		}
		return true
	})
}
