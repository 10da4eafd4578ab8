package fsck_test

import (
	"testing"

	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal"
)

// BenchmarkCheck checks a queue of small items. A third of them was taken out of order.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir() + "/q"
	l, err := wal.Open(dir, wal.Options{SyncEvery: wal.SyncNever})
	must(b, err)
	c, err := l.Consumer("", wal.Oldest)
	must(b, err)
	var size int64
	payload := make([]byte, 64)
	for i := range 600_000 {
		p, err := l.Append(payload, wal.Meta{})
		must(b, err)
		if size += 104; i%9 > 5 {
			must(b, c.Take(p))
		}
	}
	must(b, l.Close())
	b.SetBytes(size)
	for b.Loop() {
		_, err := fsck.Run(dir, fsck.Options{})
		must(b, err)
	}
}
