package wal_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func TestALoanStaysAsItIsWhenItsSegmentIsDeleted(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	long := strings.Repeat("0123456789", 100)
	put(t, l, long)
	p, _, _, err := c.TryNext()
	if err != nil {
		t.Fatal(err)
	}
	loan, err := l.TryBorrow(p)
	if err != nil || !loan.Mapped() || !l.Lent() {
		t.Fatalf("got a loan from a map %v, %v, want one", loan.Mapped(), err)
	}
	for range 2 * wal.MinSegmentSize / len(long) {
		put(t, l, long)
		settle(l)
	}
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	settle(l)
	if names := m.files(".seg"); strings.Contains(strings.Join(names, " "), "0001.seg") {
		t.Fatalf("got the segments %v, want the first deleted", names)
	}
	b := make([]byte, len(long))
	if n, err := loan.CopyAt(b, 0); string(loan.Payload) != long || string(b[:n]) != long {
		t.Errorf("got %q, %v, want the item", b[:n], err)
	}
	if loan.Release(); l.Lent() || loan.Payload != nil {
		t.Error("got a loan after its release, want none")
	}
}

func TestALoanOutlivesItsLog(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	p := put(t, l, "item")
	loan, err := l.Borrow(p)
	if err == nil {
		err = l.Close()
	}
	if err != nil || string(loan.Payload) != "item" {
		t.Errorf("got %q, %v, want the item", loan.Payload, err)
	}
	loan.Release()
	if _, err := l.Borrow(p); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("got %v from a closed log, want ErrClosed", err)
	}
}

func TestAnItemInAColdSegmentIsLentFromMemory(t *testing.T) {
	l := openCold(newMemory(t))
	c := consumer(t, l)
	fillWith(t, l, 0, 5000, telemetry)
	p, _ := next(t, l, c)
	rest(l)
	loan, err := l.Borrow(p)
	if err != nil || string(loan.Payload) != telemetry(0) || loan.Mapped() || l.Lent() {
		t.Errorf("got %q, %v, mapped %v, want the item in memory",
			loan.Payload, err, loan.Mapped())
	}
	loan.Release()
}

// What was verified just now is not verified again. What somebody has kept is.
func TestAnItemIsVerifiedAgainAfterItWasKept(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	put(t, l, "item")
	p, _, _, err := c.TryNext()
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.FS.Open("/data/q/00000000000000000001.seg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := int64(segment.HeaderSize) + segment.RecordSize(len("item")) - segment.Align
	if _, err := f.WriteAt([]byte("rott"), at); err != nil {
		t.Fatal(err)
	}
	if b, err := l.TryRead(p, nil); err != nil || string(b) != "rott" {
		t.Fatalf("got %q, %v, want that it is not verified again", b, err)
	}
	if b, err := l.TryRead(p.Kept(), nil); !errors.Is(err, wal.ErrDamaged) {
		t.Errorf("got %q, %v, want ErrDamaged", b, err)
	}
	if _, err := l.TryBorrow(p.Kept()); !errors.Is(err, wal.ErrDamaged) || l.Lent() {
		t.Errorf("got %v, lent %v, want ErrDamaged and no loan", err, l.Lent())
	}
}

// pieces returns a large item's payload as it is lent, and how many loans it took. It releases each
// loan only after the body was closed.
func pieces(t *testing.T, b *wal.Body, n int64) (all []byte, loans []wal.Loan) {
	t.Helper()
	var err error
	for err == nil {
		if loans, err = b.Lend(loans, n); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range loans {
		all = append(all, loans[i].Payload...)
	}
	return all, loans
}

// inUse is how many files and maps are open.
func inUse(m memory) int {
	files, maps := m.InUse()
	return files + maps
}

func TestALargeItemIsLentInPieces(t *testing.T) {
	want := []byte(strings.Repeat("0123456789abcdef", 250_000/16))
	for _, mapped := range []bool{true, false} {
		m := newMemory(t)
		m.FS.Fail(func(op disktest.Op, name string, _ int) error {
			if op == disktest.OpMap && strings.HasSuffix(name, ".item") && !mapped {
				return syscall.ENOMEM
			}
			return nil
		})
		l := m.open()
		c := consumer(t, l)
		p, err := upload(l, want)
		if err != nil {
			t.Fatal(err)
		}
		settle(l)
		before := inUse(m)
		b, err := l.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		got, loans := pieces(t, b, 150_000)
		if !bytes.Equal(got, want) || len(loans) != 4 || loans[0].Mapped() != mapped || !l.Lent() {
			t.Errorf("got %d bytes in %d loans, mapped %v, want the item in 4, mapped %v",
				len(got), len(loans), loans[0].Mapped(), mapped)
		}
		if err := c.SkipToEnd(); err != nil {
			t.Fatal(err)
		}
		settle(l)
		if left := m.files(".item"); len(left) > 0 || !bytes.Equal(loans[3].Payload, want[3<<16:]) {
			t.Errorf("got the files %v, want none, and the loans as they were", left)
		}
		for i := range loans {
			loans[i].Release()
		}
		for l.Lent() || inUse(m) > before { // on another goroutine
			runtime.Gosched()
		}
	}
}

func TestDamageInALargeItemIsFoundBeforeAnyOfThePieceIsLent(t *testing.T) {
	for _, mask := range []byte{1, 3} {
		m := newMemory(t)
		l := m.open()
		want := bytes.Repeat([]byte("0123456789abcdef"), 250_000/16)
		p, err := upload(l, want)
		if err == nil {
			settle(l)
			err = m.Corrupt("/data/q/"+m.files(".item")[0], 200_000, mask)
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		if mask == 1 {
			got, loans := pieces(t, b, 1<<20)
			if !bytes.Equal(got, want) || l.Stats().Mended != 1 {
				t.Errorf("got %d mended, want the item and one", l.Stats().Mended)
			}
			for i := range loans {
				loans[i].Release()
			}
			continue
		}
		if loans, err := b.Lend(nil, 1<<20); !errors.Is(err, wal.ErrDamaged) || len(loans) > 0 {
			t.Errorf("got %d loans, %v, want none and ErrDamaged", len(loans), err)
		}
		if b.Close(); l.Lent() {
			t.Error("got a loan left, want none")
		}
	}
}
