package queue

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

func TestItemsComeOutInTheOrderTheyWentIn(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a", "b", "c")
	wants(t, q, "a", "b", "c")
}

func TestReturnedItemsGoBackToTheirOldPlace(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a", "b", "c", "d")
	a, b, c := fetch(t, q), fetch(t, q), fetch(t, q)
	q.Return(c)
	q.Return(a)
	if got := take(t, q); got != "a" {
		t.Fatalf("got %s, want a", got)
	}
	q.Return(b)
	wants(t, q, "b", "c", "d")
}

func TestPeekTakesNothing(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a", "b")
	for range 2 {
		it, ok, err := q.Peek()
		if err != nil || !ok || text(t, q, it) != "a" {
			t.Fatalf("got %+v, %v, %v, want a", it, ok, err)
		}
		q.Return(it)
		q.Confirm(it)
	}
	if s := q.Stats(); s.Items != 2 || s.Open != 0 {
		t.Fatalf("got %+v, want Items 2, Open 0", s)
	}
	wants(t, q, "a", "b")
}

func TestFlagsAndSizeComeWithTheItem(t *testing.T) {
	q := newQueue(t)
	if err := q.Put([]byte("hello"), wal.Meta{Flags: 77, Enqueued: 5}); err != nil {
		t.Fatal(err)
	}
	it := fetch(t, q)
	if it.Flags != 77 || it.Size != 5 || it.Enqueued != 5 || it.Seq == 0 || it.Large() {
		t.Fatalf("got %+v, want flags 77, size 5, put at 5", it)
	}
}

func TestAnEmptyItemIsAnItem(t *testing.T) {
	q := newQueue(t)
	put(t, q, "")
	if it := fetch(t, q); text(t, q, it) != "" {
		t.Fatalf("got %+v, want an empty item", it)
	}
}

func TestExpiredItemsAreDroppedOnFetch(t *testing.T) {
	q := newQueue(t)
	now := today
	for range 3 * expirySlice {
		if err := q.Put([]byte("old"), wal.Meta{Expires: now - 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Put([]byte("young"), wal.Meta{Expires: now + 1e6}); err != nil {
		t.Fatal(err)
	}
	wants(t, q, "young")
	if s := q.Stats(); s.Expired != 3*expirySlice || s.Items != 0 {
		t.Fatalf("got %+v, want Expired 3*expirySlice, Items 0", s)
	}
}

func TestAnOpenItemMayExpireBeforeItReturns(t *testing.T) {
	c := clocktest.New(time.UnixMilli(today))
	o := small()
	o.Clock = c
	q := named(t, open(t, t.TempDir(), o), "work")
	if err := q.Put([]byte("a"), wal.Meta{Expires: today + 40}); err != nil {
		t.Fatal(err)
	}
	put(t, q, "b")
	it := fetch(t, q)
	c.Step(40 * time.Millisecond)
	q.Return(it)
	wants(t, q, "b")
}

func TestFlushDiscardsWhatWaitsAndWhatReturns(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a", "b", "c", "d")
	a, b, c := fetch(t, q), fetch(t, q), fetch(t, q)
	q.Return(c)
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	put(t, q, "e")
	q.Return(a)
	if err := q.Confirm(b); err != nil {
		t.Fatal(err)
	}
	s := q.Stats()
	if s.Items != 1 || s.Bytes != 1 || s.Open != 0 || s.DiscardedFlushed != 1 || s.Flushes != 1 {
		t.Fatalf("got %+v, want Items 1, Bytes 1, Open 0, DiscardedFlushed 1, Flushes 1", s)
	}
	wants(t, q, "e")
}

func TestCountsSayWhatCouldBeFetchedNow(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a", "bb", "ccc", "dddd")
	a, b := fetch(t, q), fetch(t, q)
	c := fetch(t, q)
	q.Hold(&b)
	q.Hold(&c)
	s := q.Stats()
	if s.Items != 1 || s.Bytes != 4 || s.Open != 3 || s.TotalItems != 4 || s.Transactions != 2 {
		t.Fatalf("got %+v, want Items 1, Bytes 4, Open 3, TotalItems 4, Transactions 2", s)
	}
	q.Return(b)
	q.Confirm(a)
	if s := q.Stats(); s.Items != 2 || s.Bytes != 6 || s.Open != 1 || s.Canceled != 1 {
		t.Fatalf("got %+v, want Items 2, Bytes 6, Open 1, Canceled 1", s)
	}
	q.Flush()
	if s := q.Stats(); s.Items != 0 || s.Bytes != 0 || s.Open != 1 {
		t.Fatalf("got %+v, want Items 0, Bytes 0, Open 1", s)
	}
	put(t, q, "e")
	q.Confirm(c)
	s = q.Stats()
	if s.Items != 1 || s.Bytes != 1 || s.Open != 0 || s.Segments == 0 || s.LogSize == 0 ||
		s.Created == 0 || s.Failed != "" {
		t.Fatalf("got %+v, want Items 1, Bytes 1, Open 0, some Segments, some LogSize, some Created, not Failed", s)
	}
	q.ResetStats()
	s = q.Stats()
	if s.Transactions != 0 || s.Canceled != 0 || s.Flushes != 0 ||
		s.TotalItems != 5 || s.Items != 1 {
		t.Fatalf("got %+v, want Transactions 0, Canceled 0, Flushes 0, TotalItems 5, Items 1", s)
	}
}

func TestAgeIsThatOfTheHead(t *testing.T) {
	q := newQueue(t)
	if s := q.Stats(); s.Age != 0 {
		t.Fatalf("got %+v, want Age 0", s)
	}
	for _, ago := range []int64{50_000, 10_000} {
		if err := q.Put([]byte("x"), wal.Meta{Enqueued: today - ago}); err != nil {
			t.Fatal(err)
		}
	}
	age := func(want int64) {
		t.Helper()
		if got := q.Stats().Age; got != want {
			t.Errorf("got an age of %d ms, want %d", got, want)
		}
	}
	age(50_000)
	it := fetch(t, q)
	age(10_000)
	q.Return(it)
	age(50_000)
}

func TestOpenItemsAreBackInPlaceAfterARestart(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a", "b", "c", "d")
	a, b := fetch(t, q), fetch(t, q)
	fetch(t, q)
	q.Return(a)
	q.Confirm(b)
	q = named(t, reopen(t, q.store.reg), "work")
	if s := q.Stats(); s.Items != 3 || s.Bytes != 3 || s.Open != 0 || s.TotalItems != 4 {
		t.Fatalf("got %+v, want Items 3, Bytes 3, Open 0, TotalItems 4", s)
	}
	wants(t, q, "a", "c", "d")
}

func TestALargeItemHasItsPlaceWhenItIsWhole(t *testing.T) {
	q := newQueue(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	u, err := q.BeginLarge(int64(len(body)), wal.Meta{Flags: 3})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, "first")
	if _, err := u.Write(body); err != nil {
		t.Fatal(err)
	}
	w, _ := waitIn(t, named(t, q.store.reg, "other"))
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	u.Abort()
	w.Stop()
	put(t, q, "last")
	if got := take(t, q); got != "first" {
		t.Fatalf("got %q, want first", got)
	}
	it := fetch(t, q)
	if !it.Large() || it.Size != int64(len(body)) || it.Flags != 3 {
		t.Fatalf("got %+v, want a large item of %d bytes", it, len(body))
	}
	r, err := q.Open(it)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("got %d bytes, %v, want the body", len(got), err)
	}
	q.Confirm(it)
	wants(t, q, "last")
}

func TestALargeItemGoesToTheFirstWaiter(t *testing.T) {
	q := newQueue(t)
	w, woken := waitIn(t, q)
	u, err := q.BeginLarge(1, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	u.Write([]byte("x"))
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	<-woken
	if _, it, ok := w.Stop(); !ok || !it.Large() {
		t.Fatalf("got item %+v, %v, want a large one", it, ok)
	}
}

func TestAnUploadThatBreaksOffLeavesNothing(t *testing.T) {
	q := newQueue(t)
	u, err := q.BeginLarge(10, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	u.Write([]byte("12345"))
	u.Abort()
	u.Abort()
	u, _ = q.BeginLarge(10, wal.Meta{})
	if err := u.Commit(); err == nil {
		t.Fatal("got half an item committed, want an error")
	}
	u.Abort()
	if q.store.uploads != 0 {
		t.Fatalf("got %d uploads, want none", q.store.uploads)
	}
	wants(t, q)
}

func TestTooLargeForARecordIsRefused(t *testing.T) {
	q := newQueue(t)
	err := q.Put(make([]byte, wal.MinSegmentSize), wal.Meta{})
	if !errors.Is(err, wal.ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
}

func TestSyncedItemsAreReportedOnce(t *testing.T) {
	q := newQueue(t)
	done := make(chan error, 10)
	q.SyncThen(func(err error) { done <- err }) // of a queue that does not exist
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	put(t, q, "a")
	q.SyncThen(func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	park(t, q)
	q.SyncThen(func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestPutFetchAndConfirmAllocateNothing(t *testing.T) {
	q := newQueue(t)
	name, payload := []byte("work"), make([]byte, 64)
	put(t, q, "keep")
	fetch(t, q) // an open read throughout, so that confirming is out of order
	for _, c := range []struct {
		what string
		do   func(it Item)
	}{
		{"confirm", func(it Item) { q.Confirm(it) }},
		{"return and confirm", func(it Item) {
			q.Return(it)
			again, _, _ := q.Fetch()
			q.Confirm(again)
		}},
		{"peek and confirm", func(it Item) { q.Peek(); q.Confirm(it) }},
	} {
		buf := make([]byte, 0, 100)
		once := func() {
			q, err := q.store.reg.Queue(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Put(payload, wal.Meta{}); err != nil {
				t.Fatal(err)
			}
			it, ok, err := q.Fetch()
			if !ok || err != nil {
				t.Fatalf("got %v, %v, want an item", ok, err)
			}
			if _, err := q.Read(it, buf); err != nil {
				t.Fatal(err)
			}
			c.do(it)
		}
		n := testing.AllocsPerRun(300, once)
		for again := 0; n > 0 && again < 5; again++ { // those of the background count as well
			n = testing.AllocsPerRun(300, once)
		}
		if n != 0 {
			t.Errorf("%s: got %v allocations, want none", c.what, n)
		}
	}
}

func TestWaitingAllocatesNothing(t *testing.T) {
	q := newQueue(t)
	w := NewWaiter(func() {})
	payload := make([]byte, 64)
	n := testing.AllocsPerRun(300, func() {
		if claimed, err := q.Wait(w); claimed || err != nil {
			t.Fatalf("got a claim %v, %v, want none yet", claimed, err)
		}
		if err := q.Put(payload, wal.Meta{}); err != nil {
			t.Fatal(err)
		}
		_, it, ok := w.Stop()
		if !ok {
			t.Fatal("got no claim, want one")
		}
		q.Confirm(it)
	})
	if n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkPutFetchConfirm(b *testing.B) {
	q := named(b, open(b, b.TempDir(), Options{Log: wal.Options{SyncEvery: wal.SyncNever}}), "work")
	payload := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Put(payload, wal.Meta{}); err != nil {
			b.Fatal(err)
		}
		it, _, _ := q.Fetch()
		q.Confirm(it)
	}
}
