package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/server/queue"
)

func TestAWaiterWhoHangsUpIsNoticed(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		c := h.dial()
		c.send("get q/t=60000\r\n")
		h.until("q", "waiter", waiters(1))
		c.Close()
		h.until("q", "end of the wait", waiters(0))
		h.dial().say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	})
}

func TestAWaitEndsAtItsTime(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		c := on.listen(t, 10).dial() // by the machine's clock; clock_test.go steps one
		c.say("get q/t=50\r\n", "END\r\n")
		c.say("version\r\n", "VERSION ")
	})
}

func TestWhatIsSentDuringAWaitIsAnsweredAfterIt(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		c := h.dial()
		c.send("get q/t=60000\r\nset other 0 0 1\r\nb\r\n")
		h.until("q", "waiter", waiters(1))
		h.dial().say("set q 0 0 1\r\na\r\n", "STORED\r\n")
		c.expect("VALUE q 0 1\r\na\r\nEND\r\nSTORED\r\n")
	})
}

// While a session waits its input is bounded. What a client sends beyond that stays with the
// client, and the wait goes on.
func TestAFloodDuringAWaitIsHeldBack(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		c := h.dial()
		c.SetDeadline(time.Now().Add(5 * hang)) // for a million answers
		c.SetWriteBuffer(64 << 10)
		c.send("get q/t=60000\r\n")
		h.until("q", "waiter", waiters(1))
		const requests = 1 << 20
		flooded := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, strings.Repeat("get none\r\n", requests))
			flooded <- err
		}()
		read := &h.env.Counters.BytesRead
		eventually(t, "full buffer", func() bool { return read.Load() >= uint64(classes[largest]) })
		other := h.dial()
		for range 100 {
			other.say("get none\r\n", "END\r\n")
		}
		if n := read.Load(); n > uint64(classes[largest])+2000 {
			t.Errorf("got %d bytes read during the wait, want %d and a little", n, classes[largest])
		}
		other.say("set q 0 0 1\r\na\r\n", "STORED\r\n")
		c.expect("VALUE q 0 1\r\na\r\nEND\r\n")
		const answers = int64(requests * len("END\r\n"))
		n, err := io.CopyN(io.Discard, c, answers)
		if err != nil || <-flooded != nil {
			t.Errorf("got %d bytes of answers to the flood, %v, want %d", n, err, answers)
		}
	})
}

func TestItemsOfAReplyThatWasNotTakenReturn(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		const count, size = 400, 60000 // more than the sockets hold
		setter := h.dial()
		for range count {
			setter.say(set("q", size), "STORED\r\n")
		}
		c := h.dial()
		c.SetReadBuffer(4096)
		c.send(strings.Repeat("get q\r\n", count))
		var left, same int64
		h.until("q", "item that is stuck on its way", func(s queue.Stats) bool {
			if same++; s.Items != left || s.Open == 0 || s.Items > count-20 {
				left, same = s.Items, 0
			}
			return same == 10
		})
		c.SetLinger(0)
		c.Close()
		h.until("q", "item that returned", func(s queue.Stats) bool { return s.Open == 0 })
		q, _ := h.registry.Queue([]byte("q"))
		if s := q.Stats(); left == count || s.Items <= left {
			t.Errorf("got %d of %d items after %d, want some taken and some returned", s.Items, count, left)
		}
	})
}

func TestOneTooManyIsToldSo(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 2)
		a, b := h.dial(), h.dial()
		a.say("version\r\n", "VERSION ")
		b.say("version\r\n", "VERSION ")
		c := h.dial()
		c.expect(refusal)
		c.expectEnd()
		if n := h.env.Counters.RejectedConnections.Load(); n != 1 {
			t.Errorf("got %d rejected connections, want 1", n)
		}
		a.Close()
		for { // until a has left
			d := h.dial()
			d.send("version\r\n")
			answer := make([]byte, len("VERSION "))
			if _, err := io.ReadFull(d, answer); err == nil && string(answer) == "VERSION " {
				break
			}
			d.Close()
		}
	})
}

func TestTheReasonOfAnEndReachesAClientThatStillSends(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		c := on.withStillClock().listen(t, 10).dial()
		c.send(strings.Repeat("x", 10<<20))
		c.expect("CLIENT_ERROR line too long\r\n")
		c.expectEnd()
	})
}

func TestStopAnswersWhatWasAsked(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.withStillClock().listen(t, 100)
		waiting, idle, half := h.dial(), h.dial(), h.dial()
		waiting.send("get q/t=60000\r\nset after 0 0 1\r\na\r\n")
		idle.say("set idle 0 0 1\r\na\r\n", "STORED\r\n")
		half.say("version\r\nset half 0 0 10\r\nabc", "VERSION ")
		h.until("q", "waiter", waiters(1))
		idle.send(strings.Repeat("set idle 0 0 1\r\na\r\n", 1000)) // not read yet, perhaps
		stopped := h.beginStop(context.Background())
		waiting.expect("END\r\nSTORED\r\n")
		idle.expect(strings.Repeat("STORED\r\n", 1000))
		h.awaitStop(stopped)
		waiting.expectEnd()
		idle.expectEnd()
		half.expect("\r\n")
		half.expectEnd()
		if _, err := net.Dial("tcp", h.addr); err == nil {
			t.Error("got a connection after the stop, want an error")
		}
	})
}

func TestStopCutsOffAClientThatDoesNotRead(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.withStillClock().listen(t, 10) // and no time passes
		c := h.dial()
		c.SetReadBuffer(4096)
		body := strings.Repeat("x", 16<<20)
		c.say(fmt.Sprintf("set q 0 0 %d\r\n%s\r\nget q\r\n", len(body), body),
			"STORED\r\nVALUE q 0 ")
		h.cutOff()
		h.until("q", "item that returned", items(1))
	})
}

// A loop may be stuck in a page that a disk does not give. Whoever stops the server gives up.
func TestStopDoesNotWaitForASessionThatDoesNotComeBack(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.harness(t, 10)
		now, reached, release := h.env.Now, make(chan struct{}, 1), make(chan struct{})
		var stuck atomic.Bool
		h.env.Now = func() int64 {
			if stuck.Load() {
				reached <- struct{}{}
				<-release
			}
			return now()
		}
		l, err := ListenTCP("127.0.0.1", 0, TCPOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h.serve(l)
		c := h.dial()
		c.say("set q 0 0 1\r\na\r\n", "STORED\r\n")
		stuck.Store(true)
		c.send("set q 0 0 1\r\na\r\n")
		<-reached
		stuck.Store(false)
		over, cancel := context.WithCancel(context.Background())
		cancel()
		h.awaitStop(h.beginStop(over))
		close(release)
	})
}

func TestAClientThatNeverPausesDoesNotHoldUpStop(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.withStillClock().listen(t, 10)
		c := h.dial()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			gets := [...]string{"get q\r\n", "get q/t=1000\r\n"}
			answer := make([]byte, len("END\r\n"))
			for n := 0; ; n++ {
				if _, err := io.WriteString(c, gets[n%2]); err != nil {
					return
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					return
				}
			}
		}()
		h.until("q", "waiter", waiters(1))
		h.stop()
		<-ended
	})
}

// starved is a listener whose Accept fails now and then, as when descriptors run out.
type starved struct {
	net.Listener
	fails func() bool
}

func (s *starved) Accept() (net.Conn, error) {
	if s.fails() {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

// serveStarved has the transport serve such a listener.
func (h *harness) serveStarved(fails func() bool) {
	l, err := ListenTCP("127.0.0.1", 0, TCPOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.serve(&starved{l, fails})
}

func (h *harness) loggedOnce(text string) {
	h.t.Helper()
	if n := strings.Count(h.log.String(), text); n != 1 {
		h.t.Errorf("got %d lines with %q, want 1:\n%s", n, text, h.log.String())
	}
}

func TestAcceptingGoesOnAfterDescriptorsRanOut(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.harness(t, 10)
		failures := 3
		h.serveStarved(func() bool { failures--; return failures >= 0 })
		h.dial().say("version\r\n", "VERSION ")
		h.loggedOnce("cannot accept")
	})
}

func TestAShortageThatComesAndGoesIsLoggedOnce(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.harness(t, 10)
		failed := false
		h.serveStarved(func() bool { failed = !failed; return failed })
		for range 5 {
			h.dial().say("version\r\n", "VERSION ")
		}
		h.loggedOnce("cannot accept")
	})
}

// An accepted connection needs one more descriptor. Without one it waits, like those after it.
func TestAConnectionIsNotDroppedWhenDescriptorsRunOutAfterItWasAccepted(t *testing.T) {
	h := goroutines.harness(t, 10)
	failures := 3
	o := h.server.o
	admitted := make(chan net.Conn, 1)
	a := newAcceptor(o)
	admit := func(c net.Conn, _ memcache.Peer) error {
		if failures > 0 {
			failures--
			return syscall.EMFILE
		}
		admitted <- c
		return nil
	}
	l, err := ListenTCP("127.0.0.1", 0, TCPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	a.acceptFrom(l, admit)
	client := h.dial()
	server := <-admitted
	io.WriteString(server, "hello")
	client.expect("hello")
	server.Close()
	a.leave()
	a.close()
	<-a.done
	h.loggedOnce("cannot accept")
}

func TestStopDoesNotWaitForDescriptors(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.withStillClock().harness(t, 10)
		h.serveStarved(func() bool { return true })
		eventually(t, "failure",
			func() bool { return strings.Contains(h.log.String(), "cannot accept") })
		<-h.beginStop(context.Background()) // no time passes
	})
}

// A client that reads slowly gets everything, and the server keeps little of it at a time.
func TestAClientThatReadsSlowlyGetsAll(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		const count, size = 300, 60000 // more than the sockets hold
		setter, want := h.dial(), make([]string, count)
		for i := range count {
			body := strings.Repeat(string(rune('a'+i%26)), size)
			setter.say(fmt.Sprintf("set q 0 0 %d\r\n%s\r\n", size, body), "STORED\r\n")
			want[i] = fmt.Sprintf("VALUE q 0 %d\r\n%s\r\nEND\r\n", size, body)
		}
		c := h.dial()
		c.send(strings.Repeat("get q\r\n", count))
		h.until("q", "item on its way", func(s queue.Stats) bool { return s.Items < count-20 })
		for range 20 { // no more leaves the queue while the client does not read
			setter.say("get none\r\n", "END\r\n")
		}
		q, _ := h.registry.Queue([]byte("q"))
		if left := q.Stats().Items; left < count/3 {
			t.Errorf("got %d of %d items in the queue while the client does not read, want a third",
				left, count)
		}
		for i := range want {
			c.expect(want[i])
		}
	})
}

func TestAClientThatSendsAndHangsUpIsHeard(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.harness(t, 10)
		path := filepath.Join(t.TempDir(), "s")
		l, err := ListenUnix(path)
		if err != nil {
			t.Fatal(err)
		}
		h.serve(l)
		const count = 3000
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		synced := "set q/sync 0 0 1 noreply\r\na\r\n" // each waits for the disk
		plain := strings.Replace(synced, "/sync", "", 1)
		requests := strings.Repeat(synced, 10) + strings.Repeat(plain, count-10)
		if _, err := io.WriteString(c, requests); err != nil {
			t.Fatal(err)
		}
		c.Close()
		h.until("q", "all items", items(count))
		eventually(t, "end of the connection", func() bool {
			return h.env.Counters.Connections.Load() == 0
		})
	})
}

// An upload that breaks off leaves nothing, at whatever point.
func TestABodyThatBreaksOffLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		for _, part := range []int{0, 1, 100_000, 1 << 20} {
			c := h.dial()
			c.send(fmt.Sprintf("set q 0 0 %d\r\n%s", 2<<20, strings.Repeat("x", part)))
			c.Close()
		}
		eventually(t, "end of the connections", func() bool {
			return h.env.Counters.Connections.Load() == 0
		})
		body := strings.Repeat("y", 2<<20)
		c := h.dial()
		c.say(fmt.Sprintf("set q 0 0 %d\r\n%s\r\n", len(body), body), "STORED\r\n")
		c.say("get q\r\nget q\r\n",
			fmt.Sprintf("VALUE q 0 %d\r\n%s\r\nEND\r\nEND\r\n", len(body), body))
	})
}

// Every client waits for what another sets, so all loops wake sessions of all loops.
func TestItemsGoRoundBetweenConnections(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 100)
		const clients, rounds = 12, 200
		done := make(chan error, clients)
		for i := range clients {
			c := h.dial()
			go func() { done <- c.passOn(i, (i+1)%clients, rounds) }()
		}
		h.dial().say("set ring0 0 0 1\r\na\r\n", "STORED\r\n")
		for range clients {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// passOn moves n items, as they come, from one queue to another.
func (p peer) passOn(from, to, n int) error {
	get := fmt.Sprintf("get ring%d/t=60000\r\n", from)
	item := fmt.Sprintf("VALUE ring%d 0 1\r\na\r\nEND\r\n", from)
	set := fmt.Sprintf("set ring%d 0 0 1\r\na\r\n", to)
	for range n {
		for _, x := range []struct{ ask, want string }{{get, item}, {set, "STORED\r\n"}} {
			got := make([]byte, len(x.want))
			if _, err := io.WriteString(p, x.ask); err != nil {
				return err
			}
			if _, err := io.ReadFull(p, got); err != nil || string(got) != x.want {
				return fmt.Errorf("got %q, %v for %q, want %q", got, err, x.ask, x.want)
			}
		}
	}
	return nil
}
