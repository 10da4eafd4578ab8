package checksum_test

import (
	"testing"

	"github.com/darner/darner/segment/checksum"
)

// What a checksum started from is found again, for any bytes.
func TestAChecksumTellsWhatItStartedFrom(t *testing.T) {
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(i*i + 7)
	}
	for n := range b {
		start := uint32(n) * 0x9e3779b9
		if got := checksum.Start(checksum.Update(start, b[:n]), b[:n]); got != start {
			t.Fatalf("%d bytes: got %08x, want %08x", n, got, start)
		}
	}
}
