package wal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/darner/darner/segment"
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
