package queue

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// What is not due stays, and nothing else: compaction leaves the segments around it no larger than
// what is delayed.
func TestItemsThatAreNotDueKeepNoneOfTheirNeighboursOnTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const items, one = 20_000, 500 // of 1 KB each one in so many is delayed
		r := ruled(t, disktest.New(), nil)
		q := named(t, r, "work")
		payload := []byte(strings.Repeat("x", 1000))
		due := time.Now().Add(24 * time.Hour).UnixMilli()
		for i := range items {
			m := wal.Meta{Enqueued: time.Now().UnixMilli()}
			if i%one == 0 {
				m.SetDue(due)
			}
			if err := storePatiently(q, payload, m); err != nil {
				t.Fatal(err)
			}
		}
		most := q.Stats().LogSize
		for range items - items/one {
			if err := q.Confirm(fetch(t, q)); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Minute)
		s := q.Stats()
		if s.Items != 0 || s.Delayed != items/one {
			t.Fatalf("got %d items and %d delayed, want 0 and %d", s.Items, s.Delayed, items/one)
		}
		const delayed = items / one * 1000
		if s.LogSize > 4*delayed {
			t.Errorf("got %d bytes on the disk, want about the %d that are delayed (of %d before)",
				s.LogSize, delayed, most)
		}
		r = reopen(t, r)
		pass(25 * time.Hour)
		q = named(t, r, "work")
		for range items / one {
			if got := take(t, q); got != string(payload) {
				t.Fatalf("got %.20q, want what was delayed", got)
			}
		}
		wants(t, q)
	})
}
