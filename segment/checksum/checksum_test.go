package checksum_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/darner/darner/segment/checksum"
)

var damages = flag.Int("damages", 100_000, "random damages to try")

func sample(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i + 7)
	}
	return b
}

func TestAChecksumIsTwoCRCsOfTheStandardLibrary(t *testing.T) {
	b := sample(100_000)
	low, high := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)), crc32.ChecksumIEEE(b)
	if got, want := checksum.Of(b), uint64(high)<<32|uint64(low); got != want {
		t.Fatalf("got %016x, want %016x", got, want)
	}
}

func TestAChecksumGoesOnWhereTheOneBeforeEnded(t *testing.T) {
	b := sample(50_000)
	for _, n := range []int{0, 1, 7, 4096, 20_000, len(b)} {
		if got, want := checksum.Update(checksum.Of(b[:n]), b[n:]), checksum.Of(b); got != want {
			t.Fatalf("cut at %d: got %016x, want %016x", n, got, want)
		}
	}
}

// What a checksum started from is found again, for any bytes.
func TestAChecksumTellsWhatItStartedFrom(t *testing.T) {
	b := sample(300)
	for n := range b {
		start := uint64(n) * 0x9e3779b97f4a7c15
		if got := checksum.Start(checksum.Update(start, b[:n]), b[:n]); got != start {
			t.Fatalf("%d bytes: got %016x, want %016x", n, got, start)
		}
	}
}

// Every single bit is found, of the bytes and of the checksum.
func TestAFlippedBitIsFound(t *testing.T) {
	const start = 0x0123456789abcdef
	b := sample(300)
	sum := checksum.Update(start, b)
	if _, ok := checksum.Flipped(start, sum, b); ok {
		t.Fatal("a flip was found where there is none")
	}
	for bit := range 8 * len(b) {
		checksum.Flip(b, bit)
		if got, ok := checksum.Flipped(start, sum, b); !ok || got != bit {
			t.Fatalf("got bit %d, %v, want %d", got, ok, bit)
		}
		checksum.Flip(b, bit)
	}
	for bit := range 64 {
		if got, ok := checksum.Flipped(start, sum^1<<bit, b); !ok || got != checksum.InSum {
			t.Fatalf("bit %d of the checksum: got %d, %v", bit, got, ok)
		}
	}
	long := sample(1 << 20)
	sum = checksum.Of(long)
	for _, bit := range []int{0, 1<<23 - 1, 1 << 22, 5_000_001} {
		checksum.Flip(long, bit)
		if got, ok := checksum.Flipped(0, sum, long); !ok || got != bit {
			t.Fatalf("got bit %d, %v, want %d", got, ok, bit)
		}
		checksum.Flip(long, bit)
	}
}

// A flipped bit is mended wherever it is, and what is sound stays as it is.
func TestAFlippedBitIsMended(t *testing.T) {
	const start = 0x0123456789abcdef
	b := sample(50)
	b = binary.LittleEndian.AppendUint64(b, checksum.Update(start, b))
	sound := slices.Clone(b)
	if _, ok := checksum.Mend(start, b[50:], b[:50]); ok {
		t.Fatal("what is sound was mended")
	}
	for bit := range 8 * len(b) {
		checksum.Flip(b, bit)
		at, ok := checksum.Mend(start, b[50:], b[:50])
		if !ok || at != bit/8 || !slices.Equal(b, sound) {
			t.Fatalf("bit %d: got byte %d, %v, %x", bit, at, ok, b)
		}
	}
	checksum.Flip(b, 1)
	checksum.Flip(b, 99)
	if _, ok := checksum.Mend(start, b[50:], b[:50]); ok {
		t.Fatal("two flipped bits were mended as one")
	}
}

func TestASeedHasTheNumberInBothHalves(t *testing.T) {
	if got, want := checksum.Seed(0xffff_fffe_0000_0001, 3), uint64(0x1_0000_0004); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

// Of a CRC-32C alone, one and two flipped bits are among what explains a difference.
func TestFlippedBitsAreAmongWhatExplainsADifference(t *testing.T) {
	const start = 0x01234567
	r := rand.New(rand.NewPCG(1, 2))
	b := sample(4096)
	sum := checksum.Update32(start, b)
	for i := range 20 {
		want := [2]int{r.IntN(8 * len(b)), r.IntN(8 * len(b))}
		if i < 10 {
			want[1] = want[0]
		}
		slices.Sort(want[:])
		flip := func(pair [2]int) {
			checksum.Flip(b, pair[0])
			if pair[0] != pair[1] {
				checksum.Flip(b, pair[1])
			}
		}
		flip(want)
		found := false
		for pair := range checksum.Flips32(start, sum, b) {
			flip(pair)
			if checksum.Update32(start, b) != sum {
				t.Fatalf("flips %v: got %v, which do not explain the difference", want, pair)
			}
			flip(pair)
			slices.Sort(pair[:])
			found = found || pair == want
		}
		if !found {
			t.Fatalf("flips %v: not among what was found", want)
		}
		flip(want)
	}
	for pair := range checksum.Flips32(start, sum, b) {
		t.Fatalf("got %v where nothing is flipped", pair)
	}
}

func BenchmarkFlipped(b *testing.B) {
	for _, n := range []int{64, 4 << 10, 128 << 10, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bytes := sample(n)
			sum := checksum.Of(bytes) ^ 0x5a5a
			b.SetBytes(int64(n))
			for b.Loop() {
				checksum.Flipped(0, sum, bytes)
			}
		})
	}
}

// Two flipped bits are never taken for one, wherever they are.
func TestTwoFlippedBitsAreNotTakenForOne(t *testing.T) {
	b := sample(48)
	sum := checksum.Of(b)
	all := 8*len(b) + 64
	flip := func(bit int) {
		if bit < 8*len(b) {
			checksum.Flip(b, bit)
		} else {
			sum ^= 1 << (bit - 8*len(b))
		}
	}
	for i := range all {
		flip(i)
		for j := i + 1; j < all; j++ {
			flip(j)
			if bit, ok := checksum.Flipped(0, sum, b); ok {
				t.Fatalf("bits %d and %d: taken for bit %d", i, j, bit)
			}
			flip(j)
		}
		flip(i)
	}
}

// Damage of more than one bit is never mended into something else. With -damages=10000000 this is
// the long form.
func TestOtherDamageIsNotTakenForAFlippedBit(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	sound := sample(1100)
	for i := range *damages {
		b := append([]byte(nil), sound[:1+r.IntN(1<<(1+r.IntN(10)))]...)
		start := r.Uint64()
		sum := checksum.Update(start, b)
		if damage(r, b, &sum) <= 1 {
			continue
		}
		if bit, ok := checksum.Flipped(start, sum, b); ok {
			t.Fatalf("seed %d, damage %d: %d bytes: taken for bit %d", seed, i, len(b), bit)
		}
	}
}

// damage changes b or its checksum in one of several ways, and returns how many bits changed.
func damage(r *rand.Rand, b []byte, sum *uint64) (changed int) {
	was, wasSum := append([]byte(nil), b...), *sum
	switch from := r.IntN(len(b)); r.IntN(5) {
	case 0: // some bits
		for range 2 + r.IntN(6) {
			checksum.Flip(b, r.IntN(8*len(b)))
		}
	case 1: // a run of noise
		for i := range b[from:min(len(b), from+1+r.IntN(64))] {
			b[from+i] = byte(r.Uint32())
		}
	case 2: // a run of zeros
		clear(b[from:min(len(b), from+1+r.IntN(512))])
	case 3: // the checksum
		*sum = r.Uint64()
	default: // all of it
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	for i := range b {
		for x := b[i] ^ was[i]; x != 0; x &= x - 1 {
			changed++
		}
	}
	for x := *sum ^ wasSum; x != 0; x &= x - 1 {
		changed++
	}
	return changed
}
