package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// serve handles every connection with f. When the test ends it waits until all have ended.
func serve(t *testing.T, f func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan struct{}, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			conns <- struct{}{}
			go func() {
				f(c)
				c.Close()
				<-conns
			}()
		}
		for range cap(conns) { // succeeds when all have ended
			conns <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String()
}

// script sends the given answers, one for each line that it reads. The body of a set is a line too.
// An answer is sent in pieces, which '|' separates.
func script(t *testing.T, answers ...string) (addr string) {
	return serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for _, answer := range answers {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			for b := range strings.SplitSeq(answer, "|") {
				if _, err := io.WriteString(c, b); err != nil {
					return
				}
			}
		}
		io.Copy(io.Discard, r)
	})
}

// onLoops runs a test with the loop of this system and with the portable loop.
func onLoops(t *testing.T, test func(t *testing.T, loop func(*meter) loop)) {
	t.Run("native", func(t *testing.T) { test(t, newLoop) })
	t.Run("portable",
		func(t *testing.T) { test(t, func(m *meter) loop { return &portableLoop{meter: m} }) })
}

// one returns a load of one connection, which sets an item and gets it.
func one(addr string, d dialect, payload string, loop func(*meter) loop) load {
	return load{address: addr, dialect: d, queue: "q",
		items: newItems([]byte(payload), len(payload)),
		conns: 1, depth: 1, count: 2, loop: loop}
}

func run(t *testing.T, l load) result {
	t.Helper()
	r, err := l.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// queue is a server with queues in memory. It speaks just enough of the memcache protocol to be
// measured.
type queue struct {
	before func(request string) // called with every request; may be nil
	also   map[string]string    // answers that replace the usual ones, by command
}

func (q queue) serve(t *testing.T) (addr string) {
	state := make(chan map[string][]string, 1)
	state <- map[string][]string{}
	return serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if q.before != nil {
				q.before(line)
			}
			queues := <-state
			answer := respond(queues, strings.Fields(line), r)
			if other, ok := q.also[strings.Fields(line)[0]]; ok {
				answer = other
			}
			state <- queues
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	})
}

func respond(queues map[string][]string, words []string, r *bufio.Reader) string {
	switch words[0] {
	case "set":
		body := new(bytes.Buffer)
		io.CopyN(body, r, int64(number(words[4])+2))
		queues[words[1]] = append(queues[words[1]], strings.TrimSuffix(body.String(), "\r\n"))
		return "STORED\r\n"
	case "get":
		all := queues[words[1]]
		if len(all) == 0 {
			return "END\r\n"
		}
		queues[words[1]] = all[1:]
		return "VALUE " + words[1] + " 0 " + strconv.Itoa(len(all[0])) + "\r\n" + all[0] +
			"\r\nEND\r\n"
	case "delete":
		delete(queues, words[1])
		return "DELETED\r\n"
	case "stats":
		answer := fmt.Sprintf("STAT version 0.1\r\nSTAT pid %d\r\n", os.Getpid())
		for name, all := range queues {
			answer += "STAT queue_" + name + "_items " + strconv.Itoa(len(all)) + "\r\n"
		}
		return answer + "END\r\n"
	}
	return "ERROR\r\n"
}
