package segment

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"testing"
)

var damages = flag.Int("damages", 150, "random damages to try")

// Wherever the bit is, it is mended as the file is opened for writing, and nothing is left of it.
func TestAFlippedBitIsWrittenBack(t *testing.T) {
	active, _, stored := victims(t)
	end := judge(active, testHeader).Tail
	for bit := 8 * HeaderSize; bit < 8*int(end); bit += 97 {
		bad := bytes.Clone(active)
		bad[bit/8] ^= 1 << (bit % 8)
		fsys := diskWith(t, bad)
		s, damage := open(t, fsys, true)
		mustHold(t, s, stored)
		if len(damage) > 0 || s.Rebuilt() > 1 {
			t.Fatalf("bit %d: got damage %+v and %d mended, want at most one", bit, damage, s.Rebuilt())
		}
		must(t, s.Close())
		now, err := fsys.ReadFile(testPath)
		must(t, err)
		if s.Rebuilt() == 1 && !bytes.Equal(now[:end], active[:end]) {
			t.Fatalf("bit %d is not as it was", bit)
		}
	}
}

// 100 flipped bits cost nothing, in the file that is open and in the one that is opened.
func TestManyFlippedBitsCostNothing(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		fsys := diskWith(t, nil)
		must(t, fsys.Remove(testPath))
		s := newSegment(t, fsys, 1<<20)
		stored := fill(t, s, 3000)
		if sealed {
			must(t, s.Seal())
		}
		rng := rand.New(rand.NewPCG(1, 9))
		step := int64(s.Tail()-HeaderSize) / 100
		for i := range int64(100) { // far enough apart that no record has two
			must(t, fsys.Corrupt(testPath, HeaderSize+i*step+rng.Int64N(step-700), 1<<rng.IntN(8)))
		}
		mustHold(t, s, stored)
		data, err := fsys.ReadFile(testPath)
		must(t, err)
		o, damage := open(t, diskWith(t, data), true)
		mustHold(t, o, stored)
		if len(damage) > 0 {
			t.Errorf("sealed %v: got damage %+v, want none", sealed, damage)
		}
		if n := o.Rebuilt(); n < 80 { // some are in zeros between records
			t.Errorf("sealed %v: got %d bits mended, want nearly 100", sealed, n)
		}
	}
}

// Whatever is damaged, no wrong byte is read. -damages=10000000 is the long form.
func TestNoDamageMakesAWrongRecord(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	active, sealed, stored := victims(t)
	known := map[uint64]Record{}
	for _, r := range stored {
		known[r.Seq] = r
	}
	for i := range *damages {
		bad := bytes.Clone([][]byte{active, sealed}[i%2])
		for range 1 + rng.IntN(20) {
			at, n := rng.IntN(len(bad)), 1+rng.IntN(1<<rng.IntN(10))
			for k := at; k < min(at+n, len(bad)); k++ {
				bad[k] = byte(rng.Uint32())
			}
		}
		k := testHeader.key()
		var r Record
		for off := uint32(HeaderSize); int(off) < len(bad); off += Align {
			_, ok := k.getSound(bad, off, &r)
			if !ok {
				_, _, ok = k.mend(bad, off, &r, nil)
			}
			if ok && r.Kind != kindBody && !same(r, known[r.Seq]) {
				t.Fatalf("seed %d, damage %d: got %+v at %d, which was never written", seed, i, r, off)
			}
		}
	}
}

func TestHeadReadsARecordWithoutItsPayload(t *testing.T) {
	fsys := diskWith(t, nil)
	must(t, fsys.Remove(testPath))
	s := newSegment(t, fsys, 1<<20)
	r := item(100, 50_000)
	off := appendItem(t, s, r)
	must(t, fsys.Corrupt(testPath, int64(off)-1000, 0xff))
	got, next, err := s.Head(off)
	if err != nil || next != s.Tail() || len(got.Payload) != 50_000 || got.Seq != 100 {
		t.Errorf("got %d bytes of item %d, %v, want all but a sound payload", len(got.Payload), got.Seq, err)
	}
	if _, _, err := s.At(off); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v for the whole record, want ErrDamaged", err)
	}
	if _, _, err := s.Head(s.Tail()); err != io.EOF {
		t.Errorf("got %v at the tail, want io.EOF", err)
	}
}
