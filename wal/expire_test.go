package wal_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// expiring is a log of ten items, of which every other one expires at 100.
func expiring(t *testing.T) (own, audit *wal.Consumer) {
	t.Helper()
	l := newMemory(t).open()
	own, audit = consumer(t, l), named(t, l, "audit")
	for i := range 10 {
		m := wal.Meta{Enqueued: int64(i + 1)}
		if i%2 == 1 {
			m.Expires = 100
		}
		if _, err := l.Append([]byte(payload(i)), m); err != nil {
			t.Fatal(err)
		}
	}
	return own, audit
}

// expire takes what has expired.
func expire(t *testing.T, c *wal.Consumer, expires, put int64) (seqs []uint64) {
	t.Helper()
	_, err := c.EachExpired(expires, put, 0, func(p wal.Position, _ wal.Meta) (stays, more bool) {
		seqs = append(seqs, p.Seq)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
		return false, true
	})
	if err != nil {
		t.Fatal(err)
	}
	return seqs
}

func TestEachConsumerFindsWhatHasExpired(t *testing.T) {
	own, audit := expiring(t)
	for _, c := range []*wal.Consumer{own, audit} {
		if got := expire(t, c, 100, math.MinInt64); !slices.Equal(got, []uint64{2, 4, 6, 8, 10}) {
			t.Fatalf("got items %v, want every other one", got)
		}
	}
	if got := own.Expires(0); got != 0 {
		t.Fatalf("got %d for when the next one expires, want never", got)
	}
}

func TestTheOldestItemSaysWhenItIsTooOld(t *testing.T) {
	own, audit := expiring(t)
	if got, byAge := own.Expires(0), own.Expires(50); got != 100 || byAge != 51 {
		t.Fatalf("got %d and %d, want 100, and 51 where items live for 50 ms", got, byAge)
	}
	for _, c := range []*wal.Consumer{own, audit} {
		if got := expire(t, c, 53, 3); !slices.Equal(got, []uint64{1, 2, 3}) {
			t.Fatalf("got items %v, want the first three", got)
		}
	}
	if got := own.Expires(50); got != 54 {
		t.Fatalf("got %d for when the next one is too old, want 54", got)
	}
}

func TestAnItemThatStaysDelaysNoOther(t *testing.T) {
	l := newMemory(t).open()
	c := consumer(t, l)
	for _, expires := range []int64{200, 100, 300} {
		if _, err := l.Append([]byte("x"), wal.Meta{Enqueued: 1, Expires: expires}); err != nil {
			t.Fatal(err)
		}
	}
	stay := func(wal.Position, wal.Meta) (stays, more bool) { return true, true }
	if _, err := c.EachExpired(150, math.MinInt64, 0, stay); err != nil {
		t.Fatal(err)
	}
	if got := c.Expires(0); got != 200 {
		t.Fatalf("got %d for when the next one expires, want 200", got)
	}
}

func TestAnItemMayBeRevisitedWhileOthersAreLookedAt(t *testing.T) {
	own, _ := expiring(t)
	_, err := own.EachExpired(100, math.MinInt64, 0,
		func(p wal.Position, _ wal.Meta) (stays, more bool) {
			own.Revisit(p) // as when it comes back just now
			return true, true
		})
	if err != nil {
		t.Fatal(err)
	}
	if got := own.Expires(0); got != 1 {
		t.Fatalf("got %d for when the next one expires, want at once", got)
	}
}

// A shortage of descriptors passes. What expires in the segment that could not be opened must not
// be forgotten.
func TestASegmentThatCannotBeOpenedForNowIsLookedAtAgain(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	const items = 40
	payload := make([]byte, 4000)
	for range items {
		if _, err := l.Append(payload, wal.Meta{Expires: 1000}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	defer l.Close()
	c := consumer(t, l)
	expired := func() (n int, err error) {
		_, err = c.EachExpired(math.MaxInt64, 0, 0, func(wal.Position, wal.Meta) (bool, bool) {
			n++
			return true, true
		})
		return n, err
	}
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpOpen && strings.HasSuffix(name, "0001.seg") {
			return syscall.EMFILE
		}
		return nil
	})
	if _, err := expired(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("got %v, want that the segment cannot be opened", err)
	}
	m.Fail(nil)
	if n, err := expired(); n != items || err != nil {
		t.Errorf("got %d expired items, %v, want %d", n, err, items)
	}
}
