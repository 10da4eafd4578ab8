package queue

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/darner/darner/wal"
)

// limited opens a queue with settings of its own.
func limited(t testing.TB, set Settings) *Queue {
	t.Helper()
	o := small()
	eachQueue(set)(&o)
	return named(t, open(t, t.TempDir(), o), "work")
}

func refuses(t testing.TB, q *Queue, payload, setting string) {
	t.Helper()
	err := q.Put([]byte(payload), wal.Meta{})
	if !errors.Is(err, ErrLimit) || !errors.Is(err, ErrFull) ||
		errors.Is(err, ErrDiscardOldest) || !strings.Contains(err.Error(), setting) {
		t.Fatalf("got %v, want ErrLimit that names %s", err, setting)
	}
}

func TestAQueueTakesAsManyItemsAsItMay(t *testing.T) {
	q := limited(t, Settings{MaxItems: 3})
	put(t, q, "a", "b", "c")
	refuses(t, q, "d", "max-items")
	it := fetch(t, q)
	refuses(t, q, "d", "max-items") // it is open
	q.Return(it)
	refuses(t, q, "d", "max-items")
	take(t, q)
	put(t, q, "d")
	q = named(t, reopen(t, q.store.reg), "work")
	refuses(t, q, "e", "max-items")
	wants(t, q, "b", "c", "d")
}

func TestAQueueTakesAsManyBytesAsItMay(t *testing.T) {
	q := limited(t, Settings{MaxBytes: 10})
	put(t, q, "aaaa", "bbbb")
	refuses(t, q, "ccc", "max-bytes")
	put(t, q, "cc")
	it := fetch(t, q)
	refuses(t, q, "d", "max-bytes")
	q.Confirm(it)
	put(t, q, "dddd")
	q = named(t, reopen(t, q.store.reg), "work")
	refuses(t, q, "e", "max-bytes")
	refuses(t, q, strings.Repeat("e", 11), "max-bytes")
	wants(t, q, "bbbb", "cc", "dddd")
}

func TestAQueueThatDiscardsKeepsItsNewestItems(t *testing.T) {
	q := limited(t, Settings{MaxItems: 3, Discard: true})
	for i := range 100 {
		put(t, q, fmt.Sprint(i))
	}
	if s := q.Stats(); s.Items != 3 || s.DiscardedFull != 97 {
		t.Fatalf("got %d items and %d discarded, want 3 and 97", s.Items, s.DiscardedFull)
	}
	oldest := fetch(t, q) // open: it stays
	put(t, q, "x")
	q.Return(oldest)
	wants(t, q, "97", "99", "x")

	q = limited(t, Settings{MaxBytes: 1000, Discard: true})
	for i := range 300 { // more than go in one hold of the lock
		put(t, q, fmt.Sprint(i%10))
	}
	for err := q.Put(make([]byte, 900), wal.Meta{}); err != nil; {
		if err = q.DiscardOldest(err); err != nil {
			t.Fatal(err)
		}
		err = q.Put(make([]byte, 900), wal.Meta{})
	}
	if s := q.Stats(); s.Items != 101 || s.Bytes != 1000 {
		t.Fatalf("got %d items of %d bytes, want 101 of 1000", s.Items, s.Bytes)
	}
	refuses(t, q, strings.Repeat("x", 1001), "max-bytes")
}

func TestNothingIsDiscardedWhereAllIsOpen(t *testing.T) {
	q := limited(t, Settings{MaxItems: 2, Discard: true})
	put(t, q, "a", "b")
	fetch(t, q)
	fetch(t, q)
	refuses(t, q, "c", "max-items")
}

func TestExpiredItemsGoBeforeOneIsRefusedOrDiscarded(t *testing.T) {
	for _, discard := range []bool{false, true} {
		q := limited(t, Settings{MaxItems: 3, Discard: discard})
		for range 2 {
			if err := q.Put([]byte("old"), wal.Meta{Expires: 1, More: wal.FixedExpiry}); err != nil {
				t.Fatal(err)
			}
		}
		put(t, q, "a", "b", "c")
		if s := q.Stats(); s.Expired != 2 || s.DiscardedFull != 0 {
			t.Fatalf("got %d expired and %d discarded, want 2 and 0", s.Expired, s.DiscardedFull)
		}
	}
}

func TestALimitIsExactHoweverItemsArePut(t *testing.T) {
	const limit = 100
	q := limited(t, Settings{MaxItems: limit, MaxBytes: limit * 10_000})
	var stored atomic.Int64
	var all sync.WaitGroup
	body := make([]byte, 10_000)
	ways := []func() error{
		func() error { return q.Put(body[:2000], wal.Meta{}) },
		func() error {
			u, err := q.BeginLarge(int64(len(body)), wal.Meta{})
			if err != nil {
				return err
			}
			if _, err := u.Write(body); err != nil {
				u.Abort()
				return err
			}
			return u.Commit()
		},
		func() error {
			u, err := q.TryUpload(len(body), wal.Meta{})
			for err == ErrUnready || err == ErrNotLoaded {
				q.Create()
				q.store.log.CatchUp()
				u, err = q.TryUpload(len(body), wal.Meta{})
			}
			if err != nil {
				return err
			}
			if _, err := u.Write(body); err != nil {
				u.Abort()
				return err
			}
			if err = u.Commit(); err != nil {
				u.Abort()
			}
			return err
		},
	}
	for i := range 6 {
		all.Go(func() {
			for range limit {
				err := ways[i%len(ways)]()
				switch {
				case err == nil:
					stored.Add(1)
				case !errors.Is(err, ErrLimit):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if s := q.Stats(); s.Items != limit || stored.Load() != limit {
		t.Fatalf("got %d items and %d stored, want %d", s.Items, stored.Load(), limit)
	}
}

func TestWhatExpiredBehindTheHeadIsNotDiscardedForNewItems(t *testing.T) {
	for _, to := range []string{"", "old"} {
		o := small()
		o.Settings = func(name string) *Settings {
			if name == "work" {
				return &Settings{MaxBytes: 10, Discard: true, ExpireTo: to}
			}
			return noSettings
		}
		q := named(t, open(t, t.TempDir(), o), "work")
		put(t, q, "head")
		if err := q.Put([]byte("ends"), wal.Meta{Expires: 1, More: wal.FixedExpiry}); err != nil {
			t.Fatal(err)
		}
		noError(t, stored(q, "aa", "bbbbbb"))
		if to != "" {
			wants(t, named(t, q.store.reg, "old"), "ends")
		}
		wants(t, q, "aa", "bbbbbb")
		if s := q.Stats(); s.Expired != 1 || s.DiscardedFull != 1 {
			t.Fatalf("got %d expired and %d discarded, want 1 and 1", s.Expired, s.DiscardedFull)
		}
	}
}
