package main

// Large items and slow clients: they cost bounded memory and nobody else's time.

import (
	"flag"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var large = flag.Bool("large", false, "TestAnItemOfAGigabyteStreams with 1 GB, not less")

// memoryBound is how many bytes the server may use while it streams.
const memoryBound = 64 << 20

// noise is size bytes that do not repeat. The same seed gives the same bytes.
func noise(seed uint64, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(seed)}), size)
}

func sum(r io.Reader) uint32 {
	h := crc32.NewIEEE()
	io.Copy(h, r)
	return h.Sum32()
}

// sizeFor picks a size for the circumstances.
func sizeFor(short, usual, most int64) int64 {
	switch {
	case *large:
		return most
	case testing.Short():
		return short
	}
	return usual
}

func TestAnItemOfAGigabyteStreams(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a process's memory is read from /proc")
	}
	size := sizeFor(64<<20, 128<<20, 1_000_000_000)
	d := launch(t, t.TempDir())
	small := flowing(d, "small")
	c := d.dial()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	c.send(fmt.Sprintf("set big 0 0 %d\r\n", size))
	if _, err := io.Copy(c, noise(1, size)); err != nil {
		t.Fatal(err)
	}
	c.say("\r\n", "STORED\r\n")
	small.expectMore(t, "on its way in")
	c.say("get big\r\n", fmt.Sprintf("VALUE big 0 %d\r\n", size))
	var h hash.Hash32 = crc32.NewIEEE()
	if n, err := io.CopyN(h, c.r, size); err != nil || h.Sum32() != sum(noise(1, size)) {
		t.Errorf("got %d bytes, %v, checksum %08x, want %d, %08x", n, err, h.Sum32(), size,
			sum(noise(1, size)))
	}
	c.expect("\r\nEND\r\n")
	small.expectMore(t, "on its way out")
	small.check(t)
}

// flow sets and gets small items all the time.
type flow struct {
	d     *daemon
	stop  chan struct{}
	done  sync.WaitGroup
	trips atomic.Int64
	seen  int64 // trips at the last look
	worst time.Duration
	most  int64 // bytes of memory
}

func flowing(d *daemon, queue string) *flow {
	f := &flow{d: d, stop: make(chan struct{})}
	c := d.dial()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	body := strings.Repeat("s", 64)
	set, get := "set "+queue+" 0 0 64\r\n"+body+"\r\n", "get "+queue+"\r\n"
	answer := "STORED\r\nVALUE " + queue + " 0 64\r\n" + body + "\r\nEND\r\n"
	f.done.Go(func() {
		got := make([]byte, len(answer))
		for {
			began := time.Now()
			if _, err := io.WriteString(c, set+get); err != nil {
				d.t.Error(err)
				return
			}
			if _, err := io.ReadFull(c, got); err != nil || string(got) != answer {
				d.t.Errorf("got %.100q, %v for a small item, want %.100q", got, err, answer)
				return
			}
			f.worst = max(f.worst, time.Since(began))
			if f.trips.Add(1)%100 == 0 {
				f.most = max(f.most, d.memory())
			}
			select {
			case <-f.stop:
				return
			default:
			}
		}
	})
	return f
}

// expectMore fails if nothing flowed since the last look.
func (f *flow) expectMore(t *testing.T, when string) {
	t.Helper()
	now := f.trips.Load()
	if now-f.seen < 100 {
		t.Errorf("got %d small items while a large one was %s, want 100 or more", now-f.seen, when)
	}
	f.seen = now
}

// check ends the flow and checks its cost.
func (f *flow) check(t *testing.T) {
	t.Helper()
	close(f.stop)
	f.done.Wait()
	t.Logf("%d small items meanwhile, the slowest took %v; the server used %d KiB at most",
		f.trips.Load(), f.worst, f.most>>10)
	if f.most > memoryBound {
		t.Errorf("got %d MiB of memory used, want %d at most", f.most>>20, memoryBound>>20)
	}
}

func TestAClientThatStopsReadingHarmsNobody(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a process's memory is read from /proc")
	}
	size := sizeFor(32<<20, 100<<20, 100<<20)
	d := launch(t, t.TempDir())
	c := d.dial()
	c.send(fmt.Sprintf("set big 0 0 %d\r\n", size))
	if _, err := io.Copy(c, noise(2, size)); err != nil {
		t.Fatal(err)
	}
	c.say("\r\n", "STORED\r\n")

	stuck := d.dial()
	stuck.SetReadBuffer(64 << 10)
	stuck.say("get big\r\n", fmt.Sprintf("VALUE big 0 %d\r\n", size))
	if _, err := io.CopyN(io.Discard, stuck.r, 1<<20); err != nil {
		t.Fatal(err)
	}
	var half []*talker // and others that stop in the middle of sending
	for range 50 {
		h := d.dial()
		h.send("set half 0 0 60000\r\n" + strings.Repeat("h", 30000))
		half = append(half, h)
	}
	others := flowing(d, "others")
	for range 1000 {
		c.say("set q 0 0 5\r\nhello\r\nget q\r\n", "STORED\r\nVALUE q 0 5\r\nhello\r\nEND\r\n")
	}
	c.say("get big\r\n", "END\r\n") // the stuck client has it
	others.expectMore(t, "stuck")
	others.check(t)

	stuck.Close()
	for _, h := range half {
		h.Close()
	}
	c.until("big", "items", "1")
	c.say("get half\r\n", "END\r\n")
	c.say("get big\r\n", fmt.Sprintf("VALUE big 0 %d\r\n", size))
	if got := sum(io.LimitReader(c.r, size)); got != sum(noise(2, size)) {
		t.Errorf("got checksum %08x, want %08x", got, sum(noise(2, size)))
	}
	c.expect("\r\nEND\r\n")
}
