package offset_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal/internal/offset"
)

const path, capacity = "q/consumer.off", 64 << 10

// sample is a file with entries of all kinds, and what it says.
func sample(t testing.TB) (fsys *disktest.FS, says string) {
	t.Helper()
	fsys = disktest.New()
	if err := fsys.Mkdir("q"); err != nil {
		t.Fatal(err)
	}
	st := offset.New(5, 50, 77)
	st.Durable = 30
	for seq := uint64(10); seq < 40; seq += 3 {
		st.Take(seq, seq+1, seq)
		st.Deliver(seq+2, uint32(seq))
	}
	if err := offset.Replace(fsys, "q", "", &st, 9); err != nil {
		t.Fatal(err)
	}
	return fsys, all(&st, 9)
}

// all is all that a file says.
func all(st *offset.State, log uint64) string {
	var b strings.Builder
	fmt.Fprintln(&b, log, st.Head, st.Below, st.Created, st.Durable)
	for x, bytes := range st.Ranges() {
		fmt.Fprintln(&b, x, bytes)
	}
	for seq := range uint64(50) {
		if n := st.Deliveries(seq); n > 0 {
			fmt.Fprintln(&b, seq, n)
		}
	}
	return b.String()
}

func content(t testing.TB, fsys *disktest.FS) []byte {
	t.Helper()
	b, err := fsys.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// isMended opens a file in which so many bits are flipped. It must say what it said, and be the
// same to the bit when it is mended.
func isMended(t *testing.T, fsys *disktest.FS, says string, whole []byte, flips int) {
	t.Helper()
	if st, log, _, err := offset.Peek(fsys, path); err != nil || all(&st, log) != says {
		t.Fatalf("got %q, %v, want %q at a glance", all(&st, log), err, says)
	}
	if id, err := offset.Identity(fsys, path); err != nil || id != 9 {
		t.Fatalf("got the identity %d, %v, want 9", id, err)
	}
	o, st, err := offset.Open(fsys, path, capacity)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if got := all(&st, o.Log); got != says || o.Lost() != 0 || o.Flipped() != flips {
		t.Fatalf("got %d lost, %d flipped and %q, want %d flipped and %q",
			o.Lost(), o.Flipped(), got, flips, says)
	}
	o.Mend(&st)
	if !slices.Equal(content(t, fsys), whole) {
		t.Fatal("the mended file is not as it was")
	}
}

func TestEveryFlippedBitOfAnOffsetFileIsMended(t *testing.T) {
	fsys, says := sample(t)
	whole := content(t, fsys)
	step := 1
	if testing.Short() {
		step = 7
	}
	for at := 0; at < len(whole); at += step {
		for bit := range 8 {
			if err := fsys.Corrupt(path, int64(at), 1<<bit); err != nil {
				t.Fatal(err)
			}
			v, err := offset.Judge(fsys, path, int64(len(whole)))
			want := offset.Damage{From: int64(at), To: int64(at) + 1, Flipped: true}
			if err != nil || len(v.Damage) != 1 || v.Damage[0] != want || v.Lost {
				t.Fatalf("bit %d of byte %d: got %+v, %v, want %+v", bit, at, v, err, want)
			}
			isMended(t, fsys, says, whole, 1)
		}
	}
}

// One bit in each slot, each entry, what is between and what follows.
func TestFlippedBitsInManyPlacesOfAnOffsetFileAreMended(t *testing.T) {
	fsys, says := sample(t)
	whole := content(t, fsys)
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 6))
		n := 0
		for at := 0; at < len(whole); n++ {
			size := 32
			if at < 1024 {
				size = 512 - at%512
				if at%512 == 0 {
					size = 72
				}
			}
			if err := fsys.Corrupt(path, int64(at+rng.IntN(size)), 1<<rng.IntN(8)); err != nil {
				t.Fatal(err)
			}
			at += size
		}
		isMended(t, fsys, says, whole, n)
	}
}

// Whatever else becomes of a file, it never says that an item is taken which is not, or that one
// was delivered more often.
func TestADamagedOffsetFileNeverSaysMoreThanItDid(t *testing.T) {
	sound, _ := sample(t)
	whole := content(t, sound)
	is, _, _, err := offset.Peek(sound, path)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		b := slices.Clone(whole[:2048])
		for range 1 + rng.IntN(3) {
			from := rng.IntN(len(b))
			for i := from; i < min(len(b), from+1+rng.IntN(80)); i++ {
				b[i] = byte(rng.Uint32())
			}
		}
		fsys := disktest.New()
		if err := errors.Join(fsys.Mkdir("q"), fsys.WriteFile(path, b)); err != nil {
			t.Fatal(err)
		}
		st, _, _, err := offset.Peek(fsys, path)
		if err != nil {
			continue
		}
		for seq := range uint64(60) {
			if st.Has(seq) && !is.Has(seq) || !is.Has(seq) &&
				st.Deliveries(seq) > is.Deliveries(seq) {
				t.Fatalf("seed %d: item %d: got taken %v and %d deliveries, want %v and %d", seed,
					seq, st.Has(seq), st.Deliveries(seq), is.Has(seq), is.Deliveries(seq))
			}
		}
	}
}

func TestAFileOfNoiseIsNoOffsetFile(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	fsys := disktest.New()
	if err := errors.Join(fsys.Mkdir("q"), fsys.WriteFile(path, b)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := offset.Peek(fsys, path); !errors.Is(err, offset.ErrNoSlot) {
		t.Errorf("got %v, want ErrNoSlot", err)
	}
}
