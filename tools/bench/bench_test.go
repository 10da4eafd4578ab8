package bench

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRunCountsWhatTheServerAnswered(t *testing.T) {
	for _, protocol := range []string{"memcache", "redis"} {
		d, err := newDialect(protocol, "bench", 64)
		if err != nil {
			t.Fatal(err)
		}
		stored := d.stored.want
		if d.stored.line {
			stored = append(stored, "17\r\n"...)
		}
		answered := make(chan int, 3)
		addr := serve(t, 3, func(c net.Conn) {
			n := 0
			for expect(c, d.set) && say(c, stored) && expect(c, d.get) && say(c, d.item.want) {
				n += 2
			}
			answered <- n
		})
		r, err := Run(Load{Addr: addr, Protocol: protocol, Connections: 3, Size: 64, Duration: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		want := <-answered + <-answered + <-answered
		if r.Requests != want || want < 6 || r.Elapsed < 50*time.Millisecond {
			t.Errorf("%s: %d requests in %v, the server answered %d", protocol, r.Requests, r.Elapsed, want)
		}
	}
}

func TestRunTakesAnswersInPieces(t *testing.T) {
	addr := serve(t, 1, func(c net.Conn) {
		request := make([]byte, 1024)
		for _, answer := range []string{"STORED\r\n", "VALUE bench 0 1\r\n0\r\nEND\r\n"} {
			c.Read(request)
			for _, b := range []byte(answer) {
				say(c, []byte{b})
			}
		}
	})
	r, err := Run(Load{Addr: addr, Protocol: "memcache", Connections: 1, Size: 1, Duration: time.Nanosecond})
	if err != nil || r.Requests != 2 {
		t.Fatalf("%d requests, %v", r.Requests, err)
	}
}

func TestRunFailsOnAWrongAnswer(t *testing.T) {
	for _, answers := range [][]string{
		{"SERVER_ERROR no\r\n"},
		{"STORED\r\n", "END\r\n"},
		{"STORED\r\n", "VALUE bench 0 1\r\n1\r\nEND\r\n"},
		{"STORED\r\n", "VALUE bench 0 1\r\n0\r\nEND\r\nEND\r\n"},
		{"STORED\r\n", "VALUE bench"},
	} {
		addr := serve(t, 1, func(c net.Conn) {
			request := make([]byte, 1024)
			for _, answer := range answers {
				c.Read(request)
				say(c, []byte(answer))
			}
		})
		last := strconv.Quote(answers[len(answers)-1])
		_, err := Run(Load{Addr: addr, Protocol: "memcache", Connections: 1, Size: 1, Duration: time.Minute})
		if err == nil || !(strings.Contains(err.Error(), last) || errors.Is(err, io.EOF)) {
			t.Errorf("answered %s: %v", last, err)
		}
	}
}

func TestQuantileIsWithinThreePercent(t *testing.T) {
	var h Histogram
	var all []time.Duration
	for d := 1.0; d < 6e10; d *= 1.003 {
		h.Add(time.Duration(d))
		all = append(all, time.Duration(d))
	}
	if h.Count() != len(all) {
		t.Fatalf("%d counted, want %d", h.Count(), len(all))
	}
	for _, q := range []float64{0.001, 0.25, 0.5, 0.99, 0.999, 1} {
		want := all[int(math.Ceil(q*float64(len(all))))-1]
		if got := h.Quantile(q); got < want || float64(got) > float64(want)*1.032 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}

func TestHistogramKeepsExtremes(t *testing.T) {
	var h Histogram
	h.Add(-time.Second)
	h.Add(math.MaxInt64)
	if h.Count() != 2 || h.Quantile(0.5) != 0 || h.Quantile(1) < time.Minute {
		t.Errorf("%d counted, half %v, all %v", h.Count(), h.Quantile(0.5), h.Quantile(1))
	}
	if (&Histogram{}).Quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}

// serve answers n connections with f and waits for the end of them when the test ends.
func serve(t *testing.T, n int, f func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, n)
	for range n {
		go func() {
			defer func() { done <- struct{}{} }()
			if c, err := l.Accept(); err == nil {
				defer c.Close()
				f(c)
			}
		}()
	}
	t.Cleanup(func() {
		l.Close()
		for range n {
			<-done
		}
	})
	return l.Addr().String()
}

// expect reads exactly what a client should send; say answers.
func expect(c net.Conn, want []byte) bool {
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	return err == nil && bytes.Equal(got, want)
}

func say(c net.Conn, answer []byte) bool {
	_, err := c.Write(answer)
	return err == nil
}
