package transport

// Sets that wait for a disk that is too slow: what they delay, and how they end.

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

// lagging is a transport with a queue "slow" that is full until its disk syncs, which it does after
// release is called.
type lagging struct {
	*harness
	slow    *queue.Queue
	filled  int64 // items that filled the queue
	release func()
}

func (k kind) lagging(t *testing.T) *lagging {
	t.Helper()
	fs, gate := disktest.New(), make(chan struct{})
	h := k.listen(t, 100, func(o *wal.Options) {
		o.SegmentSize = 256 << 10
		o.FS, o.Lag, o.SyncEvery = fs, 2*o.SegmentSize, wal.SyncNever
	})
	l := &lagging{harness: h, release: sync.OnceFunc(func() { close(gate) })}
	t.Cleanup(l.release)
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpSync && strings.Contains(name, "/slow/") {
			<-gate
		}
		return nil
	})
	var err error
	if l.slow, err = h.registry.Queue([]byte("slow")); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{60_000, 0} { // the last bytes of the segment as well
		for err = nil; err == nil; err = l.slow.Put(make([]byte, size), wal.Meta{}) {
		}
	}
	l.filled = l.slow.Stats().Items
	return l
}

// manyWaiting is more connections than there are workers.
const manyWaiting = 70

// sets are n requests, each to set an item whose payload has the connection and the order.
func sets(connection, n int) (requests string) {
	for i := range n {
		item := fmt.Sprintf("%03d-%03d", connection, i)
		requests += fmt.Sprintf("set slow 0 0 %d\r\n%s\r\n", len(item), item)
	}
	return requests
}

// read waits until the transport has read that many bytes.
func (l *lagging) read(bytes int) {
	l.t.Helper()
	eventually(l.t, "end of reading", func() bool {
		return l.env.Counters.BytesRead.Load() >= uint64(bytes)
	})
}

// arrived takes all items after those that filled the queue.
func (l *lagging) arrived() (payloads []string) {
	l.t.Helper()
	for n := int64(0); ; n++ {
		it, ok, err := l.slow.Fetch()
		if err != nil {
			l.t.Fatal(err)
		}
		if !ok {
			return payloads
		}
		if n < l.filled {
			continue
		}
		if it.Large() {
			payloads = append(payloads, strings.Repeat("x", int(it.Size)))
			continue
		}
		b, err := l.slow.Read(it, nil)
		if err != nil {
			l.t.Fatal(err)
		}
		payloads = append(payloads, string(b))
	}
}

func TestSetsThatWaitForADiskHoldUpNoOtherQueue(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		l := on.lagging(t)
		const each = 3
		var waiting []peer
		sent := 0
		for i := range manyWaiting {
			c := l.dial()
			c.send(sets(i, each))
			sent += len(sets(i, each))
			waiting = append(waiting, c)
		}
		l.read(sent)
		other := l.dial()
		other.say("set other 0 0 1\r\na\r\n", "STORED\r\n")
		other.say("delete other\r\n", "DELETED\r\n")
		if n := l.slow.Stats().Items; n != l.filled {
			t.Fatalf("got %d items, want %d as before", n, l.filled)
		}
		waiting[1].CloseWrite()
		l.release()
		for _, c := range waiting {
			c.expect(strings.Repeat("STORED\r\n", each))
		}
		next := make(map[string]int)
		for _, item := range l.arrived() {
			connection, order, _ := strings.Cut(item, "-")
			if order != fmt.Sprintf("%03d", next[connection]) {
				t.Fatalf("got item %s, want number %d", item, next[connection])
			}
			next[connection]++
		}
		for connection, n := range next {
			if n != each {
				t.Errorf("got %d items of connection %s, want %d", n, connection, each)
			}
		}
		if len(next) != manyWaiting {
			t.Errorf("got items of %d connections, want %d", len(next), manyWaiting)
		}
	})
}

func TestLargeItemsThatWaitForADiskHoldUpNoOtherQueue(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		l := on.lagging(t)
		const n, size = 5, 70_000 // more than there are streamers
		request := func(name string) string {
			return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", name, size, strings.Repeat("x", size))
		}
		var waiting []peer
		for range n {
			c := l.dial()
			c.send(request("slow") + "version\r\n")
			waiting = append(waiting, c)
		}
		l.read(n * len(request("slow")))
		l.dial().say(request("other"), "STORED\r\n")
		l.release()
		for _, c := range waiting {
			c.expect("STORED\r\nVERSION")
		}
		if items := l.arrived(); len(items) != n || len(items[0]) != size {
			t.Errorf("got %d items, want %d of %d bytes", len(items), n, size)
		}
	})
}

func TestAClientThatVanishesWhileItsSetWaitsForADiskLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		l := on.lagging(t)
		large := fmt.Sprintf("set slow 0 0 70000\r\n%s\r\n", strings.Repeat("x", 70_000))
		gone, goneLarge, stays := l.dial(), l.dial(), l.dial()
		gone.send(sets(1, 2))
		goneLarge.send(large)
		l.read(len(sets(1, 2)) + len(large))
		for _, c := range []peer{gone, goneLarge} {
			c.SetLinger(0)
			c.Close()
		}
		eventually(t, "end of their connections", func() bool {
			return l.env.Counters.Connections.Load() == 1
		})
		stays.send(sets(2, 1))
		l.release()
		stays.expect("STORED\r\n")
		if items := l.arrived(); len(items) != 1 || items[0] != "002-000" {
			t.Errorf("got items %.100q, want 002-000", items)
		}
	})
}

func TestStopWaitsForSetsThatWaitForADisk(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		l := on.lagging(t)
		c := l.dial()
		c.send(sets(1, 2))
		l.read(len(sets(1, 2)))
		stopped := l.beginStop(context.Background())
		l.release()
		c.expect("STORED\r\nSTORED\r\n")
		c.expectEnd()
		l.awaitStop(stopped)
	})
}

func TestStopCutsOffSetsThatWaitForADiskThatHangs(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		l := on.withStillClock().lagging(t) // and no time passes
		c, half, much := l.dial(), l.dial(), l.dial()
		c.send(sets(1, 2))
		half.send(sets(2, 2))
		half.CloseWrite()
		most := sets(3, 1) + strings.Repeat("version\r\n", classes[largest]/9)
		much.send(most)
		l.read(2*len(sets(1, 2)) + classes[largest])
		l.cutOff()
		if n := l.env.Counters.Connections.Load(); n != 0 {
			t.Errorf("got %d connections, want none", n)
		}
		if n := l.slow.Stats().Items; n != l.filled {
			t.Errorf("got %d items, want %d as before", n, l.filled)
		}
	})
}
