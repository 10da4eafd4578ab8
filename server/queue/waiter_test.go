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
			t.Errorf("waiter %d: got %+v, %v, want %s", i, it, ok, want)
		}
	}
	if s := q.Stats(); s.Waiters != 0 || s.Items != 0 || s.Open != 4 {
		t.Fatalf("got %+v, want Waiters 0, Items 0, Open 4", s)
	}
}

func TestWhatIsThereIsClaimedAtOnce(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	w := NewWaiter(func() { t.Error("got a wake, want none") })
	claimed, err := q.Wait(w)
	if !claimed || err != nil || !w.Done() {
		t.Fatalf("got a claim %v, %v, want none yet", claimed, err)
	}
	wantClaim(t, w, q, "a")
	if _, _, ok := w.Stop(); ok {
		t.Fatal("got an item at the second Stop, want none")
	}
}

func TestAWaiterMayWaitForAQueueThatDoesNotExist(t *testing.T) {
	q := newQueue(t)
	w, woken := waitIn(t, q)
	if q.Exists() || q.Stats().Waiters != 1 {
		t.Fatal("got a queue, want one waiter and no queue")
	}
	put(t, q, "a")
	<-woken
	wantClaim(t, w, q, "a")
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
		t.Fatalf("got %+v, %v of %v, want first", it, ok, q)
	}
	wants(t, a, "second")
	wants(t, b)
	wants(t, c, "third")
	if len(woken) != 0 {
		t.Fatal("got two wakes, want one")
	}
	if w, _ := waitIn(t, a, b, c); w.Done() {
		t.Fatal("got a claim, want none")
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
			t.Fatal("got no claim, want one")
		}
		q.Confirm(it)
		for _, other := range queues {
			if got := take(t, other); (got == "x") == (other == q) {
				t.Fatalf("round %d, claimed by %s: got %q in %s, want x in the other alone",
					n, q.Name(), got, other.Name())
			}
		}
	}
	putters.Wait()
}

// A large item is in the log before its Commit serves the waiters.
func TestNobodyOvertakesAWaiter(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	take(t, q)
	w, woken := waitIn(t, q)
	if _, err := q.store.log.TryAppend([]byte("b"), wal.Meta{}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := q.Fetch(); ok || err != nil {
		t.Fatalf("got %v, %v, want no item", ok, err)
	}
	<-woken
	wantClaim(t, w, q, "b")
}

func TestAClaimedWaiterIsInNobodysWay(t *testing.T) {
	r := open(t, t.TempDir(), small())
	a, b := named(t, r, "a"), named(t, r, "b")
	first, _ := waitIn(t, a, b)
	put(t, a, "x") // first is claimed, and still in the wait queue of b
	put(t, b, "y")
	if got := take(t, b); got != "y" {
		t.Fatalf("got %q, want y", got)
	}
	second, _ := waitIn(t, b)
	put(t, b, "z")
	wantClaim(t, second, b, "z")
	if q, _, ok := first.Stop(); !ok || q != a {
		t.Fatalf("got a claim %v by %v, want one by a", ok, q)
	}
}

func TestTheItemOfAWaiterThatIsGoneGoesToTheNext(t *testing.T) {
	q := newQueue(t)
	first, _ := waitIn(t, q)
	second, woken := waitIn(t, q)
	put(t, q, "a")
	from, it, ok := first.Stop() // its client has hung up
	if !ok || second.Done() {
		t.Fatalf("got item %+v, %v, want one", it, ok)
	}
	from.Return(it)
	<-woken
	wantClaim(t, second, q, "a")
}

func TestAReturnedItemGoesToAWaiter(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	it := fetch(t, q)
	w, woken := waitIn(t, q)
	q.Return(it)
	<-woken
	if _, got, ok := w.Stop(); !ok || got.Seq != it.Seq {
		t.Fatalf("got %+v, %v, want item %d", got, ok, it.Seq)
	}
}

func TestAWaiterThatPeeksLeavesTheItemToTheNext(t *testing.T) {
	q := newQueue(t)
	var peekers []*Waiter
	for range 2 * wakesAtOnce {
		w := NewWaiter(func() {})
		w.Peek = true
		if claimed, err := q.Wait(w); claimed || err != nil {
			t.Fatalf("got a claim %v, %v, want none yet", claimed, err)
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
			t.Fatalf("got item %+v, %v, want one", it, ok)
		}
		q.Return(it)
	}
	if late.Done() {
		t.Fatal("got an item that was taken, want none")
	}
	_, it, ok := taker.Stop()
	if !ok || text(t, q, it) != "a" {
		t.Fatalf("got item %+v, %v, want one", it, ok)
	}
	q.Return(it)
	if !late.Done() {
		t.Fatal("got nothing, want the item that came back")
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
		t.Fatal("got a wake by an expired item, want none")
	}
	put(t, q, "young")
	wantClaim(t, w, q, "young")
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
			t.Fatalf("got item %d %d times, want once", i, n)
		}
	}
}
