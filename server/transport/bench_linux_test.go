package transport

import (
	"strconv"
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

// What a loop does to send a long item.
func BenchmarkLongItemOnALoop(b *testing.B) {
	for _, size := range []int{1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 48 << 10} {
		b.Run(strconv.Itoa(size>>10)+" KiB", func(b *testing.B) {
			s := newStillLoop(b)
			s.putItems(1, size)
			c, client := s.connect()
			defer unix.Close(client)
			request, answer := []byte("get q/peek\r\n"), make([]byte, size+100)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				unix.Write(client, request)
				s.handleEvents(c, unix.EPOLLIN)
				if n, _ := unix.Read(client, answer); n < size {
					b.Fatalf("got %d bytes, want the item", n)
				}
			}
		})
	}
}
