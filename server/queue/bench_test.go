package queue

// What an item costs from Put to Confirm, in process: go test -bench . ./server/queue

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/darner/darner/wal"
)

// usual is a registry as the server has it.
func usual(b *testing.B) *Registry {
	return open(b, b.TempDir(), Options{Log: wal.Options{Logger: slog.New(slog.DiscardHandler)}})
}

func mustPut(b *testing.B, q *Queue, payload []byte) {
	err := q.Put(payload, wal.Meta{Enqueued: 1})
	for errors.Is(err, ErrBacklog) {
		<-caughtUp(q)
		err = q.Put(payload, wal.Meta{Enqueued: 1})
	}
	if err != nil {
		b.Fatal(err)
	}
}

// takeOne is what a plain get does.
func takeOne(b *testing.B, q *Queue, buf []byte) []byte {
	it, ok, err := q.Fetch()
	if !ok || err != nil {
		b.Fatal(ok, err)
	}
	buf, err = q.Read(it, buf[:0])
	if err != nil {
		b.Fatal(err)
	}
	if err := q.Confirm(it); err != nil {
		b.Fatal(err)
	}
	return buf
}

// BenchmarkPut lets a backlog grow.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{16, 64, 1 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			q := named(b, usual(b), "work")
			payload := bytes.Repeat([]byte{'x'}, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				mustPut(b, q, payload)
			}
		})
	}
}

// BenchmarkTake drains one.
func BenchmarkTake(b *testing.B) {
	q := named(b, usual(b), "work")
	payload := bytes.Repeat([]byte{'x'}, 64)
	for range b.N {
		mustPut(b, q, payload)
	}
	var buf []byte
	b.ResetTimer()
	for range b.N {
		buf = takeOne(b, q, buf)
	}
}

// BenchmarkPair puts an item and takes one, with so many waiting.
func BenchmarkPair(b *testing.B) {
	for _, backlog := range []int{0, 10_000, 10_000_000} {
		b.Run(fmt.Sprint(backlog), func(b *testing.B) {
			q := named(b, usual(b), "work")
			payload := bytes.Repeat([]byte{'x'}, 64)
			for range backlog {
				mustPut(b, q, payload)
			}
			var buf []byte
			b.ResetTimer()
			for range b.N {
				mustPut(b, q, payload)
				buf = takeOne(b, q, buf)
			}
		})
	}
}

// BenchmarkQueues does so in many queues in turn.
func BenchmarkQueues(b *testing.B) {
	for _, n := range []int{1, 100, 4000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := usual(b)
			queues := make([]*Queue, n)
			payload := bytes.Repeat([]byte{'x'}, 64)
			for i := range queues {
				queues[i] = named(b, r, fmt.Sprint("work", i))
				mustPut(b, queues[i], payload)
			}
			var buf []byte
			b.ResetTimer()
			for i := range b.N {
				q := queues[i%n]
				mustPut(b, q, payload)
				buf = takeOne(b, q, buf)
			}
		})
	}
}
