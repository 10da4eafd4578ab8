package wal_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

// A glance at a small log that was closed, on a real disk.
func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	const logs = 100
	for i := range logs {
		l := open(b, filepath.Join(dir, fmt.Sprint(i)), wal.Options{})
		consumer(b, l)
		put(b, l, "a")
		l.Close()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if g, err := wal.Look(disk.OS{}, filepath.Join(dir, fmt.Sprint(i%logs))); err != nil ||
			g.Items != 1 {
			b.Fatal(g, err)
		}
	}
}
