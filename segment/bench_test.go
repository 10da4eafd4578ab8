package segment

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/darner/darner/segment/disk"
)

func BenchmarkAppend64(b *testing.B) {
	var s *Segment
	blank := func() {
		if s != nil {
			s.Close()
			disk.OS{}.Remove(s.Path())
		}
		var err error
		if s, err = Create(disk.OS{}, filepath.Join(b.TempDir(), "1.seg"), 16<<20); err != nil {
			b.Fatal(err)
		}
		s.Start(Header{First: 1})
		s.Extend(16 << 20)
		for off := int64(0); off < 16<<20; off += 4096 {
			s.mem[off] = 0
		}
	}
	blank()
	defer func() { s.Close() }()
	r := Record{Kind: KindItem, Enqueued: 1, Payload: make([]byte, 64)}
	b.SetBytes(64)
	for b.Loop() {
		r.Seq++
		if _, err := s.Append(&r); errors.Is(err, ErrFull) {
			b.StopTimer()
			blank()
			b.StartTimer()
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

func benchSegment(b *testing.B) *Segment {
	s, err := Create(disk.OS{}, filepath.Join(b.TempDir(), "1.seg"), 16<<20)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	s.Start(Header{First: 1})
	s.Extend(16 << 20)
	r := Record{Kind: KindItem, Enqueued: 1, Payload: make([]byte, 64)}
	for err == nil {
		r.Seq++
		_, err = s.Append(&r)
	}
	return s
}

func BenchmarkAt64(b *testing.B) {
	s := benchSegment(b)
	off := uint32(HeaderSize)
	b.SetBytes(64)
	for b.Loop() {
		_, next, err := s.At(off)
		if err != nil {
			b.Fatal(err)
		}
		if off = next; off == s.Tail() {
			off = HeaderSize
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	s := benchSegment(b)
	b.SetBytes(int64(s.Tail()))
	for b.Loop() {
		judge(s.mem[:s.Tail()], s.Header())
	}
}

func BenchmarkScanZeros(b *testing.B) {
	z := make([]byte, 16<<20)
	b.SetBytes(int64(len(z)))
	for b.Loop() {
		judge(z, Header{First: 1})
	}
}

func BenchmarkResyncNoise(b *testing.B) {
	z := make([]byte, 16<<20)
	for i := range z {
		z[i] = byte(i*7 + i>>8)
	}
	b.SetBytes(int64(len(z)))
	for b.Loop() {
		judge(z, Header{First: 1})
	}
}
