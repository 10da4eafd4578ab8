package queue

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// ruled opens a registry in memory whose queues have settings by their names. Use it in a bubble.
func ruled(t *testing.T, fs *disktest.FS, settings map[string]*Settings) *Registry {
	t.Helper()
	o := timed()
	o.Log.FS = fs
	o.Settings = func(name string) *Settings {
		if s := settings[name]; s != nil {
			return s
		}
		return noSettings
	}
	return open(t, "/data", o)
}

// lives puts items that expire after some time; 0 is never.
func lives(t testing.TB, q *Queue, lifetime time.Duration, payloads ...string) {
	t.Helper()
	now := q.store.reg.eras.now()
	m := wal.Meta{Enqueued: now}
	if lifetime != 0 {
		m.Expires = now + lifetime.Milliseconds()
	}
	for _, p := range payloads {
		if err := q.Put([]byte(p), m); err != nil {
			t.Fatal(err)
		}
	}
}

// holds compares what is known of a queue's items when nobody asks it.
func holds(t *testing.T, q *Queue, items int64, expired uint64) {
	t.Helper()
	q.store.mu.Lock()
	waiting := q.waitingLocked()
	dropped := q.lossesLocked().expired
	q.store.mu.Unlock()
	if waiting.items != items || dropped != expired {
		t.Fatalf("got %d items and %d expired, want %d and %d", waiting.items, dropped, items, expired)
	}
}

func TestExpiredItemsLeaveFromBehindALiveOneWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := named(t, ruled(t, disktest.New(), nil), "work")
		pass(time.Minute) // the sweeper has found nothing to do, and rests
		lives(t, q, 0, "stays")
		for i := range 3000 {
			lives(t, q, time.Second, fmt.Sprint(i))
		}
		lives(t, q, time.Hour, "long")
		holds(t, q, 3002, 0)
		pass(3 * time.Second)
		holds(t, q, 2, 3000)
		wants(t, q, "stays", "long")
	})
}

func TestExpiredItemsLeaveWhereverTheyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := named(t, ruled(t, disktest.New(), nil), "work")
		lives(t, q, time.Second, "open", "back", "shown")
		lives(t, q, 0, "stays")
		isOpen, isBack := fetch(t, q), fetch(t, q)
		q.Return(isBack)
		pass(5 * time.Second)
		holds(t, q, 1, 2)
		q.Return(isOpen)
		wants(t, q, "stays")
		holds(t, q, 0, 3)
	})
}

func TestItemsThatExpireAtManyTimesLeaveAtTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := named(t, ruled(t, disktest.New(), nil), "work")
		lives(t, q, 0, "stays")
		long := strings.Repeat("x", 500)
		for i := range 2000 { // several segments
			lives(t, q, time.Duration(1+i%20)*time.Second, long)
		}
		for i := range 20 {
			pass(time.Second)
			left := int64(2001 - 100*max(0, i-2))
			q.store.mu.Lock()
			got := q.waitingLocked().items
			q.store.mu.Unlock()
			if got > left {
				t.Fatalf("after %d s: got %d items, want at most %d", i+1, got, left)
			}
		}
		pass(3 * time.Second)
		holds(t, q, 1, 2000)
	})
}

func TestExpiredItemsLeaveAfterARestartToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ruled(t, disktest.New(), nil)
		q := named(t, r, "work")
		lives(t, q, 0, "stays")
		for range 1000 {
			lives(t, q, time.Minute, strings.Repeat("x", 500))
		}
		r = reopen(t, r)
		q = named(t, r, "work")
		pass(30 * time.Second)
		if s := q.Stats(); s.Items != 1001 {
			t.Fatalf("got %d items, want 1001", s.Items)
		}
		pass(35 * time.Second)
		if s, known := q.KnownStats(); s.Items != 1 || !known {
			t.Fatalf("got %d items, known %v, want 1", s.Items, known)
		}
	})
}

func TestAQueueMayEndItsItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {MaxAge: 10 * time.Second}}
		q := named(t, ruled(t, disktest.New(), settings), "work")
		lives(t, q, time.Hour, "a")
		lives(t, q, 0, "b")
		lives(t, q, 5*time.Second, "c")
		pass(5 * time.Second)
		lives(t, q, 0, "d")
		pass(2 * time.Second)
		holds(t, q, 3, 1)
		pass(5 * time.Second)
		holds(t, q, 1, 3)
		wants(t, q, "d")
	})
}

func TestASettingThatComesLaterAppliesToItemsThatAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ruled(t, disktest.New(), nil)
		q := named(t, r, "work")
		lives(t, q, 0, "a", "b")
		pass(time.Minute)
		r.Reconfigure(func(string) *Settings { return &Settings{MaxAge: time.Second} })
		pass(2 * time.Second)
		holds(t, q, 0, 2)
	})
}

func TestExpiredItemsMoveToAnotherQueueInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {ExpireTo: "old"}}
		r := ruled(t, disktest.New(), settings)
		q, old := named(t, r, "work"), named(t, r, "old")
		lives(t, q, 0, "stays")
		var want []string
		for i := range 1000 {
			want = append(want, fmt.Sprint(i))
		}
		lives(t, q, time.Second, want...)
		back := fetch(t, q)
		q.Return(back)
		pass(5 * time.Second)
		holds(t, q, 1, 1000)
		var got []string
		for s := take(t, old); s != ""; s = take(t, old) {
			got = append(got, s)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %d items, want all in order", len(got))
		}
		wants(t, q, "stays")
	})
}

func TestWhoReadsPassesOverExpiredItemsThatAreToMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {ExpireTo: "old"}}
		r := ruled(t, disktest.New(), settings)
		q, old := named(t, r, "work"), named(t, r, "old")
		lives(t, q, time.Second, "a", "b", "c")
		lives(t, q, 0, "d")
		it := fetch(t, q)
		time.Sleep(time.Second)
		if got := take(t, q); got != "d" {
			t.Fatalf("got %s, want d", got)
		}
		if s := q.Stats(); s.Items != 0 || s.Open != 1 {
			t.Fatalf("got %d items and %d open, want 0 and 1", s.Items, s.Open)
		}
		pass(5 * time.Second)
		wants(t, old, "b", "c")
		q.Return(it)
		pass(2 * time.Second)
		wants(t, old, "a")
		if s := q.Stats(); s.Items != 0 || s.Expired != 3 {
			t.Fatalf("got %d items and %d expired, want 0 and 3", s.Items, s.Expired)
		}
	})
}

func TestExpiredItemsStayWhereTheOtherQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {ExpireTo: "old"}, "old": {MaxItems: 2}}
		r := ruled(t, disktest.New(), settings)
		q, old := named(t, r, "work"), named(t, r, "old")
		lives(t, q, time.Second, "a", "b", "c", "d", "e")
		lives(t, q, 0, "stays")
		pass(5 * time.Second)
		if s := q.Stats(); s.Items != 1 || s.Expired != 2 {
			t.Fatalf("got %d items and %d expired, want 1 and 2", s.Items, s.Expired)
		}
		wants(t, old, "a", "b")
		pass(15 * time.Second)
		wants(t, old, "c", "d")
		r = reopen(t, r)
		q, old = named(t, r, "work"), named(t, r, "old")
		pass(15 * time.Second)
		wants(t, old, "e")
		wants(t, q, "stays")
	})
}

func TestLargeExpiredItemsMoveToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {ExpireTo: "old"}}
		r := ruled(t, disktest.New(), settings)
		q, old := named(t, r, "work"), named(t, r, "old")
		body := strings.Repeat("0123456789", 100_000)
		u, err := q.BeginLarge(int64(len(body)), wal.Meta{
			Flags: 7, Expires: time.Now().Add(time.Second).UnixMilli(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
		if err := u.Commit(); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		it := fetch(t, old)
		if !it.Large() || it.Size != int64(len(body)) || it.Flags != 7 || it.Expires != 0 {
			t.Fatalf("got %+v, want the item without its end", it)
		}
	})
}

func TestAQueueThatIsEmptyAndOldIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {MaxQueueAge: time.Hour}}
		r := ruled(t, disktest.New(), settings)
		q, stays := named(t, r, "work"), named(t, r, "stays")
		put(t, q, "a")
		put(t, stays, "a")
		wants(t, stays, "a")
		pass(2 * time.Hour)
		if !q.Exists() || !stays.Exists() {
			t.Fatal("got a queue that is gone, want both: one has an item, the other no such setting")
		}
		it := fetch(t, q)
		pass(time.Minute)
		if !q.Exists() {
			t.Fatal("got a queue that is gone while an item is open")
		}
		q.Confirm(it)
		pass(3 * time.Minute)
		if q.Exists() || !stays.Exists() {
			t.Fatal("got an empty queue that stays, want it deleted")
		}
		put(t, q, "b") // a new one
		wants(t, q, "b")
		pass(30 * time.Minute)
		if !q.Exists() {
			t.Fatal("got a new queue that is gone")
		}
		r = reopen(t, r)
		q = named(t, r, "work")
		pass(40 * time.Minute)
		if q.Exists() {
			t.Fatal("got a queue that stays, want it deleted after a restart, too")
		}
	})
}

func TestAParkedQueueFollowsItsSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ruled(t, disktest.New(), nil)
		q := named(t, r, "work")
		put(t, q, "a", "b")
		park(t, q)
		r.Reconfigure(func(string) *Settings { return &Settings{MaxAge: time.Hour} })
		pass(time.Hour + 10*time.Second)
		if s, known := q.KnownStats(); !known || s.Items != 0 {
			t.Fatalf("got %d items, known %v, want none", s.Items, known)
		}
		put(t, q, "c")
		r = reopen(t, r)
		q = named(t, r, "work")
		pass(time.Hour + 10*time.Second)
		if s, known := q.KnownStats(); !known || s.Items != 0 {
			t.Fatalf("after a restart: got %d items, known %v, want none", s.Items, known)
		}
	})
}

func TestWhatExpiresWhileItIsOpenLeavesWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := named(t, ruled(t, disktest.New(), nil), "work")
		lives(t, q, 0, "stays")
		lives(t, q, time.Second, "ends")
		stays, ends := fetch(t, q), fetch(t, q)
		q.Return(stays)
		pass(5 * time.Second)
		q.Return(ends)
		holds(t, q, 1, 1)
	})
}

func TestItemsThatAreTooOldMoveAsSoonAsTheOtherQueueHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{
			"work": {MaxAge: time.Second, ExpireTo: "old"}, "old": {MaxItems: 1},
		}
		r := ruled(t, disktest.New(), settings)
		q, old := named(t, r, "work"), named(t, r, "old")
		lives(t, q, 0, "a", "b", "c")
		for _, want := range []string{"a", "b", "c"} {
			pass(15 * time.Second)
			wants(t, old, want)
		}
	})
}

func TestAFlushOfAllTakesWhatAParkedQueueDelays(t *testing.T) {
	q := newQueue(t)
	putDue(t, q, "a", time.Hour, 0)
	if !q.store.park(1 << 60) {
		t.Fatal("got a queue that is not parked")
	}
	if err := q.store.reg.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	hasDelayed(t, q, 0, 0)
}

func TestAnEmptyQueueIsNotDeletedForItsAgeWhileItsItemsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{
			"work": {MaxAge: time.Second, ExpireTo: "old", MaxQueueAge: time.Minute},
			"old":  {MaxItems: 1},
		}
		r := ruled(t, disktest.New(), settings)
		q, old := named(t, r, "work"), named(t, r, "old")
		lives(t, q, 0, "a", "b")
		pass(15 * time.Second)
		park(t, q)
		pass(2 * time.Minute)
		wants(t, old, "a")
		pass(time.Minute)
		wants(t, old, "b")
	})
}

// The sweeper comes by itself, whatever is open, delayed or stands before what has expired.
func TestNothingIsCountedLongAfterItHasExpired(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) { expireAtRandom(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func expireAtRandom(t *testing.T, rng *rand.Rand) {
	age := time.Duration(rng.IntN(2)*5) * time.Second
	to := []string{"", "old"}[rng.IntN(2)]
	q := named(t, ruled(t, disktest.New(), map[string]*Settings{
		"work": {MaxAge: age, ExpireTo: to},
	}), "work")
	type known struct{ ends, due int64 } // Unix ms; 0: none
	var waiting []known
	var opens []Item
	now := q.store.reg.eras.now
	for n := range 150 {
		switch rng.IntN(6) {
		case 0, 1, 2:
			m := wal.Meta{Enqueued: now()}
			ends := int64(math.MaxInt64)
			if rng.IntN(3) > 0 {
				m.Expires = now() + rng.Int64N(8000)
				ends = m.Expires
			}
			if rng.IntN(4) == 0 {
				m.SetDue(now() + 1 + rng.Int64N(8000))
			}
			if age > 0 {
				ends = min(ends, now()+age.Milliseconds())
			}
			if err := q.Put(fmt.Append(nil, n), m); err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, known{ends, m.Due()})
		case 3:
			if it, ok, _ := q.Fetch(); ok {
				opens = append(opens, it)
			}
		case 4:
			if len(opens) > 0 {
				q.Return(opens[0])
				opens = opens[1:]
			}
		default:
			pass(time.Duration(rng.IntN(3000)) * time.Millisecond)
		}
		const late = 2500
		most := 0
		for _, k := range waiting {
			if k.ends > now()-late {
				most++
			}
		}
		q.store.mu.Lock()
		got := q.waitingLocked().items + q.delayedLocked().items
		q.store.mu.Unlock()
		if got > int64(most) {
			t.Fatalf("step %d: got %d items, want at most %d (age %v, to %q)", n, got, most, age, to)
		}
	}
}

func TestWhatIsTakenJustBeforeItIsSweptHasNotExpired(t *testing.T) {
	q := limited(t, Settings{MaxAge: time.Second})
	put(t, q, "a")
	it := fetch(t, q)
	stepOf(q)(time.Second)
	if err := q.Confirm(it); err != nil {
		t.Fatal(err)
	}
	w := &sweep{q: q, left: -1} // which found it before that
	if w.drop(q.cursor, it.Position, wal.Meta{Enqueued: it.Enqueued}) || q.Stats().Expired != 0 {
		t.Fatal("got it swept, want it taken once")
	}
}
