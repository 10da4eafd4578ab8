package transport

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What a loop does for a request: two system calls of its own, and two of the client.
func BenchmarkRequestOnALoop(b *testing.B) {
	for _, inFlight := range []int{1, 32} {
		b.Run(map[int]string{1: "one", 32: "32 in flight"}[inFlight], func(b *testing.B) {
			s := newStillLoop(b)
			c, client := s.connect()
			defer unix.Close(client)
			request, answer := []byte(strings.Repeat("get none\r\n", inFlight)), make([]byte, 1000)
			b.ReportAllocs()
			for b.Loop() {
				unix.Write(client, request)
				s.handleEvents(c, unix.EPOLLIN)
				if n, _ := unix.Read(client, answer); n != inFlight*len("END\r\n") {
					b.Fatalf("got %d bytes, want %d answers", n, inFlight)
				}
			}
		})
	}
}
