package transport

// Clients whose machine is gone: the test has a network of its own, which goes down.

import (
	"fmt"
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

// listenWith serves a TCP port with options.
func (k kind) listenWith(t *testing.T, o TCPOptions) *harness {
	t.Helper()
	h := k.harness(t, 10)
	l, err := ListenTCP("127.0.0.1", 0, o)
	if err != nil {
		t.Fatal(err)
	}
	h.serve(l)
	return h
}

// put puts an item without a connection.
func (h *harness) put(name string) {
	h.t.Helper()
	q, err := h.registry.Queue([]byte(name))
	if err == nil {
		err = q.Put([]byte("x"), wal.Meta{})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// doubted reports whether the server's system has probed a client in vain, or has given it up.
func (p peer) doubted() bool {
	p.t.Helper()
	table, err := os.ReadFile("/proc/thread-self/net/tcp")
	if err != nil {
		p.t.Fatal(err)
	}
	port := func(a net.Addr) string { return fmt.Sprintf(":%04X", a.(*net.TCPAddr).Port) }
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // number, local, remote, state, ...; the 9th counts probes
		if len(f) > 8 && strings.HasSuffix(f[1], port(p.RemoteAddr())) &&
			strings.HasSuffix(f[2], port(p.LocalAddr())) {
			return f[3] != "01" || f[8] != "0"
		}
	}
	return true
}

// The kernel takes seconds to find out, so all transports are tested at once.
func TestTheItemsOfAClientThatVanishedComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("the kernel probes once a second")
	}
	t.Parallel()
	network := ownNetwork(t)
	var harnesses []*harness
	var waiting []peer
	for _, on := range kinds {
		h := on.listenWith(t, TCPOptions{UserTimeout: 2 * time.Second, Keepalive: time.Second})
		h.dial().say("set idle 0 0 1\r\na\r\nget idle/open\r\n",
			"STORED\r\nVALUE idle 0 1\r\na\r\nEND\r\n")
		h.dial().send("get answered/open/t=600000\r\n")
		plain := h.dial()
		plain.send("get plain/t=600000\r\n")
		h.until("answered", "waiter", waiters(1))
		h.until("plain", "waiter", waiters(1))
		harnesses, waiting = append(harnesses, h), append(waiting, plain)
	}
	network(false)
	for _, h := range harnesses {
		h.put("answered") // the client cannot acknowledge it
	}
	for i, h := range harnesses {
		eventually(t, "doubt about a silent client", waiting[i].doubted)
		h.put("plain") // the socket takes the answer, but the system knows better
	}
	for _, h := range harnesses {
		for _, name := range []string{"idle", "answered", "plain"} {
			h.until(name, "item that came back", func(s queue.Stats) bool {
				return s.Items == 1 && s.Open == 0
			})
		}
	}
}

func TestClientsThatAreThereKeepTheirItemsHoweverLongTheyAreSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("the kernel probes once a second")
	}
	t.Parallel()
	var silent []peer
	for _, on := range kinds {
		c := on.listenWith(t, TCPOptions{UserTimeout: time.Second, Keepalive: time.Second}).dial()
		c.say("set q 0 0 1\r\na\r\nget q/open\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
		c.send("get none/t=3500\r\n")
		silent = append(silent, c)
	}
	for _, c := range silent {
		c.expect("END\r\n")
		c.say("get q/close\r\n", "END\r\n")
	}
}

// A socket takes an answer for a client that sends no more, whether it still reads or not.
func TestAPlainGetsItemThatWentOutToAClientThatIsGoneComesBack(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		for range 20 { // the end of the client's input may be noticed too late
			l := on.lagging(t)
			l.put("q")
			c := l.dial()
			request := sets(1, 1) + "get q\r\n"
			c.send(request)
			l.read(len(request))
			c.Close()
			l.dial().say("version\r\n", "VERSION ")
			l.release()
			eventually(t, "end of the connection",
				func() bool { return l.env.Counters.Connections.Load() == 1 })
			q, _ := l.registry.Queue([]byte("q"))
			if q.Stats().Items == 1 && l.env.Counters.GetHits.Load() == 1 {
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
		h.dial().say(strings.Repeat("set q 0 0 1\r\na\r\n", count),
			strings.Repeat("STORED\r\n", count))
		c := h.dial()
		c.send(strings.Repeat("get q\r\n", count))
		c.CloseWrite()
		c.expect(strings.Repeat("VALUE q 0 1\r\na\r\nEND\r\n", count))
		c.expectEnd()
		h.until("q", "item that is gone", func(s queue.Stats) bool {
			return s.Items == 0 &&
				s.Open == 0
		})
	})
}

func TestConnectionsHaveTheLimitsOfTheirListener(t *testing.T) {
	l, err := ListenTCP("127.0.0.1", 0,
		TCPOptions{UserTimeout: 90 * time.Second, Keepalive: 40 * time.Second})
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
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 90_000},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 40},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probeCount},
		} {
			if got, err := unix.GetsockoptInt(fd, x.level, x.option); err != nil || got != x.want {
				t.Errorf("option %d: got %d, %v, want %d", x.option, got, err, x.want)
			}
		}
		return true
	})
}
