package wal_test

import (
	"errors"
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

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
