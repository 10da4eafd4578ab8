package segment_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/measure/telemetry"
)

// telemetrySegment fills a sealed segment with lines of some devices, and returns both.
func telemetrySegment(
	t testing.TB, fsys *disktest.FS, size int64, devices int,
) (*segment.Segment, []byte) {
	t.Helper()
	s, err := segment.Create(fsys, "/1", size)
	check(t, err)
	check(t, s.Start(segment.Header{First: 1, Longest: 64 << 10}))
	var lines []byte
	rng := rand.New(rand.NewPCG(5, 6))
	seq, now := uint64(0), int64(1772323200000)
	for line := range telemetry.Lines(1, devices) {
		seq, now = seq+1, now+10000/int64(devices)+rng.Int64N(3)
		check(t, s.Extend(1<<10))
		r := segment.Record{Seq: seq, Kind: segment.KindItem, Enqueued: now, Payload: line}
		if _, err := s.Append(&r); err != nil {
			break
		}
		lines = append(append(lines, line...), '\n')
	}
	check(t, s.Seal())
	return s, lines
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writeCold writes all of a segment as /c, with parity.
func writeCold(t testing.TB, fsys *disktest.FS, s *segment.Segment, codec segment.Codec) {
	t.Helper()
	all := func(*segment.Record) bool { return true }
	o := segment.ColdOptions{Codec: codec, Parity: 1}
	check(t, segment.WriteCold(fsys, "/c", []*segment.Segment{s}, o, all, nil))
}

var codecs = map[string]segment.Codec{
	"none": segment.CodecNone, "s2": segment.CodecS2, "zstd": segment.CodecZstd,
}

// The measure is what zstd 1.5.4 -3 made of the same lines, without anything else, in one stream.
func TestColdTelemetryCostsLittleMoreThanItsBareLinesCompressed(t *testing.T) {
	for devices, zstd3 := range map[int]float64{1: 0.1222, 50: 0.1449, 1000: 0.1600} {
		t.Run(fmt.Sprint(devices, " devices"), func(t *testing.T) {
			fsys := disktest.New()
			s, lines := telemetrySegment(t, fsys, 4<<20, devices)
			defer s.Close()
			writeCold(t, fsys, s, segment.CodecZstd)
			cold, err := fsys.ReadFile("/c")
			check(t, err)
			ratio := float64(len(cold)) / float64(len(lines))
			t.Logf("%d bytes of lines are %d cold: %.4f, %.3f times what zstd -3 makes", len(lines), len(cold), ratio, ratio/zstd3)
			if ratio > 1.25*zstd3 {
				t.Errorf("got %.3f times what zstd -3 takes, want at most 1.25", ratio/zstd3)
			}
		})
	}
}

func BenchmarkWriteCold(b *testing.B) {
	for name, codec := range codecs {
		b.Run(name, func(b *testing.B) {
			fsys := disktest.New()
			s, lines := telemetrySegment(b, fsys, 4<<20, 50)
			b.SetBytes(int64(len(lines)))
			b.ReportAllocs()
			for b.Loop() {
				writeCold(b, fsys, s, codec)
				check(b, fsys.Remove("/c"))
			}
		})
	}
}

func BenchmarkReadCold(b *testing.B) {
	for name, codec := range codecs {
		b.Run(name, func(b *testing.B) {
			fsys := disktest.New()
			s, lines := telemetrySegment(b, fsys, 4<<20, 50)
			writeCold(b, fsys, s, codec)
			c, _, err := segment.Open(fsys, "/c", segment.OpenOptions{})
			check(b, err)
			b.SetBytes(int64(len(lines)))
			b.ReportAllocs()
			for b.Loop() {
				for off := uint32(segment.HeaderSize); off < c.Tail(); {
					if _, off, err = c.At(off); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkAtInDecodedBlock reads one record after another of a block that was decoded before.
func BenchmarkAtInDecodedBlock(b *testing.B) {
	fsys := disktest.New()
	s, _ := telemetrySegment(b, fsys, 1<<20, 50)
	writeCold(b, fsys, s, segment.CodecZstd)
	c, _, err := segment.Open(fsys, "/c", segment.OpenOptions{})
	check(b, err)
	end := c.BlockEnd(segment.HeaderSize)
	b.ReportAllocs()
	off := uint32(segment.HeaderSize)
	for b.Loop() {
		if _, off, err = c.At(off); err != nil {
			b.Fatal(err)
		}
		if off == end {
			off = segment.HeaderSize
		}
	}
}
