package transport

// A system call that does not return delays those who need its result, and nobody else.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

// work is requests for which files are made, opened, filled, sealed, renamed and removed.
func work(name string) (requests string) {
	requests = strings.Repeat(set(name+"-kept", 8000), 100) // to be sealed
	for size := range 3 {
		for range 100 {
			requests += set(name, 100+4000*size)
		}
		requests += strings.Repeat("get "+name+"\r\n", 80)
	}
	requests += set(name, 70_000) + set(name, 70_000)
	requests += strings.Repeat("get "+name+"/open\r\nget "+name+"/close\r\n", 30) +
		strings.Repeat("get "+name+"\r\n", 50)
	requests += set(name, 10) + "flush " + name + "\r\n" + set(name, 10) + "delete " + name +
		"\r\n" + set(name, 100)
	return requests
}

func set(name string, size int) string {
	return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", name, size, strings.Repeat("x", size))
}

// hanging delays all calls of a kind for files of queues "busy…" until release is called. The first
// of them closes met.
func hanging(fs *disktest.FS, op disktest.Op) (met chan struct{}, release func()) {
	met = make(chan struct{})
	gate := make(chan struct{})
	first := sync.OnceFunc(func() { close(met) })
	fs.Fail(func(called disktest.Op, name string, _ int) error {
		if called == op && strings.Contains(name, "/busy") {
			first()
			<-gate
		}
		return nil
	})
	return met, sync.OnceFunc(func() { close(gate) })
}

func TestACallThatHangsHoldsUpNobodyWhoDoesNotNeedIt(t *testing.T) {
	ops := []disktest.Op{
		disktest.OpCreate, disktest.OpOpen, disktest.OpAllocate, disktest.OpRemove,
	}
	if !testing.Short() {
		ops = append(ops, disktest.OpReadDir, disktest.OpMkdir, disktest.OpRename,
			disktest.OpSyncDir, disktest.OpRead, disktest.OpTruncate, disktest.OpSync,
			disktest.OpMap)
	}
	for _, op := range ops {
		t.Run(string(op), func(t *testing.T) {
			both(t, func(t *testing.T, on kind) {
				fs := disktest.New()
				h := on.listen(t, 100, func(o *wal.Options) {
					o.FS, o.SegmentSize = fs, 256<<10
				})
				other := h.dial()
				other.say(set("ready", 1), "STORED\r\n")
				met, release := hanging(fs, op)
				t.Cleanup(release)
				var busy sync.WaitGroup
				for i := range 2 {
					c := h.dial()
					requests := work(fmt.Sprintf("busy%d", i)) + "version\r\n"
					busy.Go(func() { io.WriteString(c, requests) })
					busy.Go(func() {
						if err := untilVersion(c); err != nil {
							t.Errorf("got no answer after the call returned: %v", err)
						}
					})
				}
				<-met
				for range 100 {
					other.say("get ready\r\n", "VALUE ready 0 1\r\nx\r\nEND\r\n")
					other.say(set("ready", 1), "STORED\r\n")
				}
				release()
				busy.Wait()
			})
		})
	}
}

// untilVersion reads answers until that to version, which no body looks like.
func untilVersion(r io.Reader) error {
	answers := bufio.NewReader(r)
	for {
		line, err := answers.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		if bytes.HasPrefix(line, []byte("SERVER_ERROR")) {
			return fmt.Errorf("answered %q", line)
		}
		if bytes.HasPrefix(line, []byte("VERSION")) {
			return nil
		}
	}
}

// manyExpired is more than a get skips in a few slices.
const manyExpired = 5000

func TestAGetGetsTheItemAfterManyThatHaveExpired(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 100)
		c := h.dial()
		c.say(strings.Repeat("set q 0 -1 1\r\nx\r\n", manyExpired)+set("q", 3),
			strings.Repeat("STORED\r\n", manyExpired+1))
		c.say("get q\r\nversion\r\n", "VALUE q 0 3\r\nxxx\r\nEND\r\nVERSION")
		h.until("q", "expired items", func(s queue.Stats) bool {
			return s.Expired == manyExpired && s.Items == 0
		})
	})
}

func TestAWaitEndsWithTheItemAfterManyThatHaveExpired(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 100)
		waiting, c := h.dial(), h.dial()
		c.say(strings.Repeat("set q 0 -1 1\r\nx\r\n", manyExpired),
			strings.Repeat("STORED\r\n", manyExpired))
		waiting.send("get q/t=60000\r\n")
		h.until("q", "waiter", waiters(1))
		c.say(set("q", 3), "STORED\r\n")
		waiting.expect("VALUE q 0 3\r\nxxx\r\nEND\r\n")
	})
}
