package queue

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/darner/darner/wal"
)

func TestWaitersAreServedInTheOrderTheyCame(t *testing.T) {
	q := newQueue(t)
	var waiters []*Waiter
	for range 5 {
		w, _ := waitIn(t, q)
		waiters = append(waiters, w)
	}
	waiters[1].Stop() // left before anything came
	put(t, q, "a", "b", "c", "d")
	for i, want := range map[int]string{0: "a", 2: "b", 3: "c", 4: "d"} {
		got, it, ok := waiters[i].Stop()
		if !ok || got != q || text(t, q, it) != want {
			t.Errorf("waiter %d got %v, %v", i, it, ok)
		}
	}
	if s := q.Stats(); s.Waiters != 0 || s.Items != 0 || s.Open != 4 {
		t.Fatalf("%+v", s)
	}
}

func TestWhatIsThereIsClaimedAtOnce(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	w := NewWaiter(func() { t.Error("woken") })
	claimed, err := q.Wait(w)
	if !claimed || err != nil || !w.Done() {
		t.Fatal(claimed, err)
	}
	if _, it, ok := w.Stop(); !ok || text(t, q, it) != "a" {
		t.Fatal(it, ok)
	}
	if _, _, ok := w.Stop(); ok {
		t.Fatal("stopped twice, served twice")
	}
}

func TestAWaiterMayWaitForAQueueThatDoesNotExist(t *testing.T) {
	q := newQueue(t)
	w, woken := waitIn(t, q)
	if q.Exists() || q.Stats().Waiters != 1 {
		t.Fatal("waiting made the queue")
	}
	put(t, q, "a")
	<-woken
	if _, it, ok := w.Stop(); !ok || text(t, q, it) != "a" {
		t.Fatal(it, ok)
	}
}

func TestAWaiterOfSeveralQueuesIsClaimedByOne(t *testing.T) {
	r := open(t, t.TempDir(), small())
	a, b, c := named(t, r, "a"), named(t, r, "b"), named(t, r, "c")
	w, woken := waitIn(t, a, b, c)
	put(t, b, "first")
	put(t, a, "second")
	put(t, c, "third")
	<-woken
	q, it, ok := w.Stop()
	if !ok || q != b || text(t, q, it) != "first" {
		t.Fatal(q, it, ok)
	}
	wants(t, a, "second")
	wants(t, b)
	wants(t, c, "third")
	if len(woken) != 0 {
		t.Fatal("woken twice")
	}
	if w, _ := waitIn(t, a, b, c); w.Done() {
		t.Fatal("a stopped waiter still counts")
	}
}

func TestTwoQueuesMayReachForAWaiterAtOnce(t *testing.T) {
	r := open(t, t.TempDir(), small())
	queues := []*Queue{named(t, r, "a"), named(t, r, "b")}
	var round atomic.Int64 // both putters spin on it, to put at the same instant
	var puts sync.WaitGroup
	var putters sync.WaitGroup
	const rounds = 3000
	for _, q := range queues {
		putters.Go(func() {
			for n := int64(1); n <= rounds; n++ {
				for round.Load() < n {
					runtime.Gosched()
				}
				put(t, q, "x")
				puts.Done()
			}
		})
	}
	for n := int64(1); n <= rounds; n++ {
		w, _ := waitIn(t, queues...)
		puts.Add(2)
		round.Store(n)
		puts.Wait()
		q, it, ok := w.Stop()
		if !ok {
			t.Fatal("not served")
		}
		q.Confirm(it)
		for _, other := range queues {
			if got := take(t, other); (got == "x") == (other == q) {
				t.Fatalf("round %d: claimed by %s, and %s has %q", n, q.Name(), other.Name(), got)
			}
		}
	}
	putters.Wait()
}

// A large item is in the log before its Commit comes to serve the line.
func TestNobodyOvertakesTheLine(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	take(t, q)
	w, woken := waitIn(t, q)
	if _, err := q.store.log.TryAppend([]byte("b"), wal.Meta{}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := q.Fetch(); ok || err != nil {
		t.Fatal(ok, err)
	}
	<-woken
	if _, it, ok := w.Stop(); !ok || text(t, q, it) != "b" {
		t.Fatal(it, ok)
	}
}

func TestAClaimedWaiterStandsInNobodysWay(t *testing.T) {
	r := open(t, t.TempDir(), small())
	a, b := named(t, r, "a"), named(t, r, "b")
	first, _ := waitIn(t, a, b)
	put(t, a, "x") // first is claimed, and still linked in the line of b
	put(t, b, "y")
	if got := take(t, b); got != "y" {
		t.Fatal(got)
	}
	second, _ := waitIn(t, b)
	put(t, b, "z")
	if _, it, ok := second.Stop(); !ok || text(t, b, it) != "z" {
		t.Fatal(it, ok)
	}
	if q, _, ok := first.Stop(); !ok || q != a {
		t.Fatal(q, ok)
	}
}

func TestTheItemOfAWaiterThatIsGoneGoesToTheNext(t *testing.T) {
	q := newQueue(t)
	first, _ := waitIn(t, q)
	second, woken := waitIn(t, q)
	put(t, q, "a")
	from, it, ok := first.Stop() // its client has hung up
	if !ok || second.Done() {
		t.Fatal(it, ok)
	}
	from.Return(it)
	<-woken
	if _, it, ok := second.Stop(); !ok || text(t, q, it) != "a" {
		t.Fatal(it, ok)
	}
}

func TestAReturnedItemGoesToAWaiter(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	it := fetch(t, q)
	w, woken := waitIn(t, q)
	q.Return(it)
	<-woken
	if _, got, ok := w.Stop(); !ok || got.Seq != it.Seq {
		t.Fatal(got, ok)
	}
}

func TestAWaiterThatPeeksLeavesTheItemToTheNext(t *testing.T) {
	q := newQueue(t)
	var peekers []*Waiter
	for range 2 * wakesAtOnce {
		w := NewWaiter(func() {})
		w.Peek = true
		if claimed, err := q.Wait(w); claimed || err != nil {
			t.Fatal(claimed, err)
		}
		peekers = append(peekers, w)
	}
	taker, _ := waitIn(t, q)
	late := NewWaiter(func() {})
	late.Peek = true
	q.Wait(late)
	put(t, q, "a")
	for _, w := range peekers {
		_, it, ok := w.Stop()
		if !ok || text(t, q, it) != "a" {
			t.Fatal(it, ok)
		}
		q.Return(it)
	}
	if late.Done() {
		t.Fatal("shown an item that was taken")
	}
	_, it, ok := taker.Stop()
	if !ok || text(t, q, it) != "a" {
		t.Fatal(it, ok)
	}
	q.Return(it)
	if !late.Done() {
		t.Fatal("not shown what came back")
	}
	late.Stop()
	wants(t, q, "a")
}

func TestExpiredItemsWakeNobody(t *testing.T) {
	q := newQueue(t)
	w, woken := waitIn(t, q)
	for range 2 * expirySlice {
		if err := q.Put([]byte("old"), wal.Meta{Expires: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if len(woken) > 0 || w.Done() {
		t.Fatal("woken by an expired item")
	}
	put(t, q, "young")
	if _, it, ok := w.Stop(); !ok || text(t, q, it) != "young" {
		t.Fatal(it, ok)
	}
}

// Waiters that give up at the very moment an item comes: none is lost, none is handed out twice.
func TestNoItemIsLostBetweenAClaimAndACancel(t *testing.T) {
	q := newQueue(t)
	const items, clients = 2000, 4
	var seen [items]int
	var mu sync.Mutex
	got := 0
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			w := NewWaiter(func() {})
			for {
				mu.Lock()
				done := got == items
				mu.Unlock()
				if done {
					return
				}
				if _, err := q.Wait(w); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
				if q, it, ok := w.Stop(); ok {
					if err := q.Confirm(it); err != nil {
						t.Error(err)
					}
					mu.Lock()
					seen[it.Seq-1]++
					got++
					mu.Unlock()
				}
			}
		})
	}
	for i := range items {
		put(t, q, fmt.Sprint(i))
		if i%8 == 0 {
			runtime.Gosched()
		}
	}
	all.Wait()
	for i, n := range seen {
		if n != 1 {
			t.Fatalf("item %d was delivered %d times", i, n)
		}
	}
}
