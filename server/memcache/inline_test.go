package memcache

// Items that go into the log as they arrive.

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/server/queue"
)

// pieces is a server whose items come in pieces from 16 KiB on, in segments of 1 MiB.
func pieces(t testing.TB, change ...func(*testServer)) *testServer {
	return newServer(t, append(change, inlineMax(200<<10))...)
}

func stretch(n int, first byte) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i*11%53)
	}
	return string(b)
}

func set(name, payload string) string {
	return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", name, len(payload), payload)
}

func (sv *testServer) files(name, suffix string) int {
	sv.t.Helper()
	found, err := filepath.Glob(filepath.Join(sv.dir, name, "*"+suffix))
	if err != nil {
		sv.t.Fatal(err)
	}
	return len(found)
}

func TestAnItemThatComesInPiecesIsStoredWhole(t *testing.T) {
	sv := pieces(t)
	for _, size := range []int{wholeMax, wholeMax + 1, 64 << 10, 200 << 10} {
		for _, piece := range []int{1, 100, 16 << 10, 70_000, 1 << 20} {
			if piece == 1 && size > wholeMax+1 {
				continue
			}
			for _, spoiled := range []bool{false, true} { // then there are pages to receive into
				c := sv.dial()
				if spoiled {
					c.ask("%s", set("q", stretch(size, 'a'))[:size/2])
					c.Close()
					c = sv.dial()
				}
				payload := stretch(size, 'A')
				request, got := set("q", payload)+"version\r\n", ""
				for len(request) > 0 {
					n := min(piece, len(request))
					got += c.ask("%s", request[:n])
					request = request[n:]
				}
				if got != "STORED\r\nVERSION 1.2.3\r\n" {
					t.Fatalf("%d bytes by %d: got %q, want STORED and the version", size, piece, got)
				}
				c.expect("get q\r\n", value("q", payload))
				c.Close()
			}
		}
	}
	if n := sv.files("q", ".item"); n > 0 {
		t.Errorf("got %d files of items, want all in the log", n)
	}
}

func TestItemsThatComeInPiecesHoldNobodyUp(t *testing.T) {
	sv := pieces(t)
	a, b, c := sv.dial(), sv.dial(), sv.dial()
	x, y := stretch(100_000, 'x'), stretch(50_000, 'y')
	a.expect(set("q", x)[:40_000], "")
	c.set("q", "1")
	b.expect(set("q", y)[:30_000], "")
	c.set("q", "2")
	b.expect(set("q", y)[30_000:], "STORED\r\n")
	a.expect(set("q", x)[40_000:], "STORED\r\n")
	for _, want := range []string{"1", "2", y, x} {
		c.expect("get q\r\n", value("q", want))
	}
	c.expect("get q\r\n", "END\r\n")
}

func TestAnItemThatBreaksOffLeavesNothing(t *testing.T) {
	sv := pieces(t)
	request := set("q", stretch(100_000, 'x'))
	for _, came := range []int{5, 20, 100, 50_000, len(request) - 2, len(request) - 1} {
		c := sv.dial()
		c.expect(request[:came], "")
		c.Close()
	}
	c := sv.dial()
	if got := c.ask("%s", request[:len(request)-2]+"no"); !strings.HasPrefix(got, "CLIENT_ERROR") {
		t.Errorf("got %q for a body without its end, want CLIENT_ERROR", got)
	}
	if n := sv.items("q"); n != 0 || sv.files("q", ".part") > 0 {
		t.Errorf("got %d items and %d files, want none", n, sv.files("q", ".part"))
	}
	sv.dial().expect("get q\r\n", "END\r\n")
}

// A client that announces an item and sends nothing of it gets no room for it.
func TestAnItemOfWhichNothingComesTakesNoRoom(t *testing.T) {
	sv := pieces(t)
	sv.dial().expect("set q 0 0 100000\r\n", "")
	if _, err := os.Stat(filepath.Join(sv.dir, "q")); err == nil {
		t.Error("got a queue on the disk, want none")
	}
}

func TestAnItemWhoseQueueIsDeletedMeanwhileIsSwallowed(t *testing.T) {
	for _, came := range []int{100, 50_000, 100_000} {
		sv := pieces(t)
		a, b := sv.dial(), sv.dial()
		request := set("q", stretch(100_000, 'x'))
		a.expect(request[:came], "")
		b.expect("delete q\r\n", "DELETED\r\n")
		b.set("q", "1")
		got := a.ask("%sversion\r\n", request[came:])
		if !strings.HasPrefix(got, "SERVER_ERROR ") || !strings.HasSuffix(got, "\r\nVERSION 1.2.3\r\n") {
			t.Errorf("got %q, want an error, then the version", got)
		}
		b.expect("get q\r\n", value("q", "1"))
		b.expect("get q\r\n", "END\r\n")
	}
}

func TestAnItemGoesIntoAFileIfItsQueuesSegmentsAreSmall(t *testing.T) {
	sv := pieces(t)
	sv.env.InlineMax = 1 << 20
	payload := stretch(300_000, 'x')
	c := sv.dial()
	c.set("q", payload)
	if n := sv.files("q", ".item"); n != 1 {
		t.Errorf("got %d files of items, want 1", n)
	}
	c.expect("get q\r\n", value("q", payload))
}

// until lets time pass until there is what is wanted.
func (sv *testServer) until(wanted string, there func() bool) {
	sv.t.Helper()
	for end := time.Now().Add(hangs); !there(); runtime.Gosched() {
		sv.pass(500)
		if time.Now().After(end) {
			sv.t.Fatalf("got nothing in %v, want %s", hangs, wanted)
		}
	}
}

// slow is an item of which half has come for so long that its segment was full a while ago.
func slow(sv *testServer, request string) *client {
	c, other := sv.dial(), sv.dial()
	c.expect(request[:len(request)/2], "")
	for range 10 {
		other.set("q", stretch(150_000, 'y'))
	}
	sv.until("a file of the slow item", func() bool { return sv.files("q", ".part") > 0 })
	return c
}

func TestASlowItemIsStoredAllTheSame(t *testing.T) {
	sv := pieces(t)
	payload := stretch(190_000, 'x')
	request := set("q", payload)
	c := slow(sv, request)
	rest := request[len(request)/2:]
	c.expect(rest[:1], "")
	c.expect(rest[1:]+"version\r\n", "STORED\r\nVERSION 1.2.3\r\n")
	for range 10 {
		c.expect("get q\r\n", value("q", stretch(150_000, 'y')))
	}
	c.expect("get q\r\n", value("q", payload))
}

func TestASlowItemThatBreaksOffLeavesNothing(t *testing.T) {
	sv := pieces(t)
	slow(sv, set("q", stretch(190_000, 'x'))).Close()
	sv.until("no file", func() bool { return sv.files("q", ".part") == 0 })
	if n := sv.items("q"); n != 10 {
		t.Errorf("got %d items, want 10", n)
	}
}

func TestAnItemInPiecesMayBeSyncedStrictOrSilent(t *testing.T) {
	sv := pieces(t)
	c := sv.dial()
	payload := stretch(50_000, 'x')
	fmt.Fprint(c, strings.Replace(set("q", payload), "set q", "set q/sync", 1))
	got := make([]byte, 100)
	if n, err := c.Read(got); err != nil || string(got[:n]) != "STORED\r\n" {
		t.Errorf("synced: got %q and %v, want STORED", got[:n], err)
	}
	line := fmt.Sprintf("set q 0 0 %d noreply\r\n", len(payload))
	c.expect(line+payload+"\r\nversion\r\n", "VERSION 1.2.3\r\n")
	c.expect("get q\r\n", value("q", payload))
	c.expect("get q\r\n", value("q", payload))
	sv.env.Registry = fullQueues{sv.env.Registry}
	c.expect(strings.Replace(set("q", payload), "set q", "set q/strict", 1), serverError(queue.ErrFull))
	if !c.closed {
		t.Error("got the connection open after a strict set was refused, want it closed")
	}
}

// brokenUploads are queues whose disk fills up in the middle of an item.
type brokenUploads struct{ Registry }

type brokenQueue struct{ Queue }

type brokenUpload struct {
	queue.InlineUpload
	aborted bool
}

var lastBroken *brokenUpload

func (r brokenUploads) Queue(name []byte) (Queue, error) {
	q, err := r.Registry.Queue(name)
	return brokenQueue{q}, err
}

func (q brokenQueue) TryUpload(size int, m queue.Meta) (queue.InlineUpload, error) {
	u, err := q.Queue.TryUpload(size, m)
	if err != nil {
		return nil, err
	}
	lastBroken = &brokenUpload{InlineUpload: u}
	return lastBroken, nil
}

func (u *brokenUpload) Lend() []byte { return nil }

func (u *brokenUpload) TryWrite(p []byte) (int, error) {
	if len(p) > 30_000 {
		return 0, queue.ErrFull
	}
	return u.InlineUpload.TryWrite(p)
}

func (u *brokenUpload) Abort() {
	u.aborted = true
	u.InlineUpload.Abort()
}

func TestADiskThatIsFullInTheMiddleOfAnItemLeavesTheConnectionInStep(t *testing.T) {
	sv := pieces(t)
	sv.env.Registry = brokenUploads{sv.env.Registry}
	c := sv.dial()
	request := set("q", stretch(100_000, 'x'))
	c.expect(request[:20_000], "")
	c.expect(request[20_000:60_000], "")
	c.expect(request[60_000:]+"version\r\n", serverError(queue.ErrFull)+"VERSION 1.2.3\r\n")
	if !lastBroken.aborted {
		t.Error("got the upload left behind, want it aborted")
	}
	if sv.items("q") != 0 {
		t.Errorf("got %d items, want none", sv.items("q"))
	}
}
