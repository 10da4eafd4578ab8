package segment

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/disk/disktest"
)

// victims are files with records of many sizes, some of which hold what looks
// like records, headers and whole segments.
func victims(t testing.TB) (active, sealed []byte, stored []Record) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 32<<10)
	_, inner, _ := files(t, 4<<10, 6)
	forged := make([]byte, HeaderSize+400)
	for i := range 5 {
		r := item(uint64(200+i), i*9)
		s.key.put(forged, HeaderSize+uint32(80*i), &r)
	}
	payloads := [][]byte{
		nil, inner, {1}, forged[HeaderSize:], bytes.Repeat([]byte{0}, 600), nil, s.mem[:HeaderSize],
		bytes.Repeat([]byte("long"), 1100),
	}
	for i := range 8 {
		payloads = append(payloads, item(uint64(i), i*i*5).Payload)
	}
	for _, p := range payloads {
		r := item(s.Last()+1+s.Last()%2, 0)
		r.Payload = bytes.Clone(p)
		appendItem(t, s, r)
		stored = append(stored, r)
	}
	must(t, s.Trim())
	active, err := fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Seal())
	sealed, err = fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Close())
	return active, sealed, stored
}

// mustLose opens a damaged file and fails unless every record that the
// damage does not touch is there, and none is wrong.
func mustLose(
	t *testing.T, what string, bad []byte, stored []Record, touched func(from, to int) bool,
) {
	for _, write := range []bool{false, true} {
		s, damage, err := Open(diskWith(t, bad), testPath, OpenOptions{Write: write})
		if err != nil {
			t.Fatalf("%s: got %v, want it to open", what, err)
		}
		found, noted := walk(t, s), 0
		for _, d := range damage {
			if d.From >= d.To {
				t.Fatalf("%s: got damage %+v, want a range that is not empty", what, d)
			}
			if !d.Meta {
				noted++
			}
		}
		off := HeaderSize
		for _, r := range stored {
			to := off + int(r.Size())
			if len(found) > 0 && found[0].Seq == r.Seq {
				if !same(found[0], r) {
					t.Fatalf("%s: record %d: got %+v, want what was written", what, r.Seq, found[0])
				}
				found = found[1:]
				if at, err := s.Find(r.Seq); err != nil || int(at) < off || int(at) >= to {
					t.Fatalf("%s: record %d: found at %d, %v, want where it is", what, r.Seq, at, err)
				}
			} else if !touched(off, to) {
				t.Fatalf("%s: record %d at %d to %d is lost, want it kept; damage %+v",
					what, r.Seq, off, to, damage)
			} else if !s.Sealed() && noted == 0 && to <= len(bad) && !blank.Bytes(bad[off:to]) {
				t.Fatalf("%s: record %d: lost without any damage noted", what, r.Seq)
			}
			off = to
		}
		if len(found) > 0 {
			t.Fatalf("%s: got record %+v, which was never written", what, found[0])
		}
		if _, err := s.Judge(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if write && !s.Sealed() {
			r := item(1e9, 8)
			must(t, s.Extend(r.Size()))
			if _, err := s.Append(&r); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		must(t, s.Close())
	}
}

func eachVictim(t *testing.T, test func(t *testing.T, file []byte, stored []Record)) {
	active, sealed, stored := victims(t)
	t.Run("active", func(t *testing.T) { test(t, active, stored) })
	t.Run("sealed", func(t *testing.T) { test(t, sealed, stored) })
}

// stride is how far apart the places are that a test damages.
func stride() int {
	if testing.Short() {
		return 63
	}
	return 9 // meets every place in a group of 8 bytes, and every bit in one of 64
}

func TestAFlippedBitCostsNothing(t *testing.T) {
	eachVictim(t, func(t *testing.T, file []byte, stored []Record) {
		for at := 0; at < len(file); at += stride() {
			bad := bytes.Clone(file)
			bad[at] ^= 1 << (at % 8)
			hit := func(from, to int) bool { return false }
			mustLose(t, fmt.Sprint("flip ", at), bad, stored, hit)
		}
	})
}

func TestLostSectorCostsAtMostTheRecordsInIt(t *testing.T) {
	eachVictim(t, func(t *testing.T, file []byte, stored []Record) {
		rng := rand.New(rand.NewPCG(1, 2))
		for at := 0; at < len(file); at += 512 {
			touched := func(from, to int) bool { return from < at+512 && at < to }
			bad := bytes.Clone(file)
			clear(bad[at:min(at+512, len(bad))])
			mustLose(t, fmt.Sprint("zero ", at), bad, stored, touched)
			for i := at; i < min(at+512, len(bad)); i++ {
				bad[i] = byte(rng.Uint32())
			}
			mustLose(t, fmt.Sprint("noise ", at), bad, stored, touched)
		}
	})
}

func TestSwappedSectorsCostAtMostTheRecordsInThem(t *testing.T) {
	eachVictim(t, func(t *testing.T, file []byte, stored []Record) {
		for a := HeaderSize; a+512 <= len(file); a += 512 {
			for b := a + 512; b+512 <= len(file); b += 512 {
				bad := bytes.Clone(file)
				copy(bad[a:a+512], file[b:])
				copy(bad[b:b+512], file[a:])
				mustLose(t, fmt.Sprint("swap ", a, b), bad, stored, func(from, to int) bool {
					return from < a+512 && a < to || from < b+512 && b < to
				})
			}
		}
	})
}

func TestTruncationCostsOnlyWhatIsCutOff(t *testing.T) {
	eachVictim(t, func(t *testing.T, file []byte, stored []Record) {
		for n := headerLen; n < len(file); n += stride() {
			cut := func(from, to int) bool { return to > n }
			mustLose(t, fmt.Sprint("cut ", n), file[:n], stored, cut)
		}
		for n := range headerLen {
			s, _, err := Open(diskWith(t, file[:n]), testPath, OpenOptions{Write: true})
			if s != nil || err == nil {
				t.Fatalf("a file of %d bytes: got a segment, want an error", n)
			}
		}
	})
}

func TestBytesAddedToAFileCostNothing(t *testing.T) {
	eachVictim(t, func(t *testing.T, file []byte, stored []Record) {
		for _, n := range []int{1, 8, 512, 5000, 20000} {
			for _, more := range [][]byte{
				make([]byte, n), bytes.Repeat([]byte{1}, n), file[:min(n, len(file))],
			} {
				bad := append(bytes.Clone(file), more...)
				mustLose(t, fmt.Sprint("add ", n), bad, stored, func(int, int) bool { return false })
			}
		}
	})
}

// While a sealed segment is open its pages may go bad too.
func TestSealedSegmentIsReadPastDamageThatTheFooterDoesNotKnow(t *testing.T) {
	_, sealed, stored := victims(t)
	clear(sealed[HeaderSize : HeaderSize+512])
	s, damage := open(t, diskWith(t, sealed), false)
	if len(damage) > 0 || s.Totals().Items != uint64(len(stored)) {
		t.Fatalf("got damage %+v, want none: a sealed segment is not scanned", damage)
	}
	_, _, err := s.At(HeaderSize)
	mustBe(t, err, ErrDamaged)
	off, err := s.Resync(HeaderSize)
	must(t, err)
	v, err := s.Judge()
	must(t, err)
	if len(v.Damage) != 1 || v.Damage[0].From != HeaderSize || v.Damage[0].To != off ||
		v.Tail != s.Tail() {
		t.Errorf("got verdict %+v, want all before the first valid record at %d as the damage", v, off)
	}
	_, err = s.Resync(s.Tail())
	mustBe(t, err, io.EOF)
	for _, off := range []uint32{0, 512, HeaderSize + 1, s.Tail() + 8, 1<<32 - 8} {
		_, _, err := s.At(off)
		mustBe(t, err, ErrDamaged)
	}
}
