package wal_test

// What a log keeps of an item besides its payload: when it is due, and where it came from.

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// keptOf is what is to be kept of the item with an id, which is a number: some are due later, and
// some were moved here.
func keptOf(id string) wal.Meta {
	n, _ := strconv.Atoi(id)
	var more wal.More
	if n%2 == 1 {
		more.Due = 1_700_000_000_000 + int64(n)
	}
	if n%3 > 0 {
		more.Origin = &wal.Origin{Log: "jobs", Seq: uint64(n) << 20, Why: wal.Why(n % 3),
			Deliveries: uint32(n), Enqueued: 1_600_000_000_000, Expires: int64(n % 5)}
	}
	return wal.Meta{More: &more}
}

// checkKept is an error unless the log kept what it should of the item at p. m is what came with
// it.
func checkKept(l *wal.Log, p wal.Position, m wal.Meta, id string) error {
	want := keptOf(id)
	from, err := l.Origin(p)
	if err != nil {
		return err
	}
	if m.Due() != want.Due() || m.Origin() != nil || !reflect.DeepEqual(from, want.Origin()) {
		return fmt.Errorf("item %s came with %+v, from %+v, want it due at %d, from %+v",
			id, m, from, want.Due(), want.Origin())
	}
	if p.Large() {
		return nil
	}
	_, m, err = l.Read(p, nil)
	if err == nil && (m.Due() != want.Due() || !reflect.DeepEqual(m.Origin(), want.Origin())) {
		err = fmt.Errorf("item %s was read with %+v from %+v, want it due at %d, from %+v",
			id, m, m.Origin(), want.Due(), want.Origin())
	}
	return err
}

// mustKeep checks all n items of a log.
func mustKeep(t *testing.T, l *wal.Log, n int) (at []wal.Position) {
	t.Helper()
	c, err := l.Consumer("reader", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	defer l.RemoveConsumer("reader")
	for {
		p, m, ok, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if err := checkKept(l, p, m, string(itemAt(t, l, p)[:6])); err != nil {
			t.Fatal(err)
		}
		at = append(at, p)
	}
	if len(at) != n || l.Stats().Damaged > 0 {
		t.Fatalf("got %d items and %d damaged, want %d and none", len(at), l.Stats().Damaged, n)
	}
	return at
}

// keeper fills a log with items of all forms.
type keeper struct {
	t *testing.T
	l *wal.Log
	n int
}

func (k *keeper) id() string {
	k.n++
	return fmt.Sprintf("%06d", k.n)
}

func (k *keeper) append(size int) {
	k.t.Helper()
	id := k.id()
	if _, err := k.l.Append(body(id, size), keptOf(id)); err != nil {
		k.t.Fatal(err)
	}
}

// upload begins an item of 9,000 bytes that comes in pieces. It returns what ends it.
func (k *keeper) upload() (end func() wal.Position) {
	k.t.Helper()
	id := k.id()
	b := body(id, 9000)
	u, err := tryUploadWith(k.l, len(b), keptOf(id))
	if err != nil {
		k.t.Fatal(err)
	}
	bring(k.t, u, b[:5000])
	return func() wal.Position {
		k.t.Helper()
		if _, err := u.Write(b[5000:]); err != nil {
			k.t.Fatal(err)
		}
		p, err := u.Commit()
		if err != nil {
			k.t.Fatal(err)
		}
		return p
	}
}

func (k *keeper) large() {
	k.t.Helper()
	id := k.id()
	b := body(id, 100_000)
	w, err := k.l.BeginLarge(int64(len(b)), keptOf(id))
	if err != nil {
		k.t.Fatal(err)
	}
	_, err = w.Write(b)
	_, e := w.Commit()
	if err = errors.Join(err, e); err != nil {
		k.t.Fatal(err)
	}
}

// fill adds items of all forms, over some segments. It returns how many there are.
func (k *keeper) fill() int {
	k.t.Helper()
	for i := range 70 {
		k.append([]int{6, 7, 100, 4096, 4097, 9000, 12000}[i%7])
	}
	for range 6 {
		k.large()
		k.upload()()
	}
	for range 6 { // whose segment takes no more when they are whole
		end := k.upload()
		roll := k.l.Stats().Segments
		for k.l.Stats().Segments == roll {
			k.append(3000)
		}
		end()
	}
	for range 6 { // and those that were slow, and moved aside
		end := k.upload()
		roll := k.l.Stats().Segments
		for k.l.Stats().Segments == roll {
			k.append(3000)
		}
		wal.ClockOf(k.l).(*clocktest.Clock).Step(time.Second)
		settle(k.l)
		if p := end(); !p.Large() {
			k.t.Fatal("got an item in the log, want one that moved aside")
		}
	}
	return k.n
}

// However an item came in, and wherever it is by now, the log keeps when it is due and where it
// came from.
func TestALogKeepsWhenAnItemIsDueAndWhereItCameFrom(t *testing.T) {
	m := newMemory(t)
	l := openCold(m)
	consumer(t, l)
	n := (&keeper{t: t, l: l}).fill()
	before := mustKeep(t, l, n)
	killed := memory{m.Clone(), t}
	mustKeep(t, openCold(killed), n)
	settle(l)
	mustKeep(t, l, n)
	rest(l)
	if len(m.files(".cold")) == 0 {
		t.Fatal("got no cold segment: this test shows nothing of it")
	}
	for i, p := range mustKeep(t, l, n) {
		if p.Seq != before[i].Seq {
			t.Fatalf("got item %d, want %d", p.Seq, before[i].Seq)
		}
		// What was handed out before it was compacted is found, too.
		id := string(itemAt(t, l, before[i])[:6])
		more := &wal.More{Due: keptOf(id).More.Due}
		if err := checkKept(l, before[i], wal.Meta{More: more}, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := examine(m.FS, "/data/q"); err != nil {
		t.Error(err)
	}
	l = openCold(m)
	mustKeep(t, l, n)
}

// What stays when others are taken is rewritten twice: into the cold form, and from one cold
// segment into another.
func TestCompactionKeepsWhenAnItemIsDueAndWhereItCameFrom(t *testing.T) {
	for name, cold := range map[string]*wal.Cold{"compressed": nil, "not compressed": {}} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			o := options(m.FS)
			o.Cold = cold
			l := open(t, "/data/q", o)
			c := consumer(t, l)
			k := &keeper{t: t, l: l}
			for range 1500 {
				k.append(100)
			}
			left := k.n
			for _, of := range []uint64{3, 7} {
				settle(l)
				for {
					p, _, ok, err := c.Next()
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						break
					}
					if p.Seq%of == 0 {
						continue
					}
					if err := c.Take(p); err != nil {
						t.Fatal(err)
					}
					left--
				}
				rest(l)
				if len(m.files(".cold")) == 0 {
					t.Fatal("got no cold segment")
				}
				if items, _ := c.Pending(); items != int64(left) {
					t.Fatalf("got %d items, want %d", items, left)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = open(t, "/data/q", o)
				c = consumer(t, l)
			}
			for range left {
				p, meta, ok, err := c.Next()
				if err != nil || !ok {
					t.Fatalf("got %v, want an item", err)
				}
				err = checkKept(l, p, meta, string(itemAt(t, l, p)[:6]))
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestAnItemThatWasMovedIsHandedOutWithoutAllocating(t *testing.T) {
	l := newMemory(t).open()
	c := consumer(t, l)
	const n = 300
	for i := range n {
		id := fmt.Sprintf("%06d", 6*i+1) // due later, and from elsewhere
		if _, err := l.Append(body(id, 100), keptOf(id)); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	var more wal.More
	if allocations := testing.AllocsPerRun(n-2, func() {
		if _, m, ok, e := c.TryNextInto(&more); !ok || m.Due() == 0 {
			err = errors.Join(e, errors.New("got no item that is due later"))
		}
	}); allocations > 0 || err != nil {
		t.Errorf("got %v allocations and %v, want none", allocations, err)
	}
}

func TestWhenAnItemIsDueMovesWithTheClock(t *testing.T) {
	from := &wal.Origin{Enqueued: 1, Expires: 2}
	m := wal.Meta{Enqueued: 100, Expires: 200, More: &wal.More{Due: 150, Origin: from}}
	m.Move(-7)
	if m.Enqueued != 93 || m.Expires != 193 || m.Due() != 143 || *m.Origin() != *from {
		t.Errorf("got %+v, want all times of the item moved, and none of its origin", m)
	}
	m = wal.Meta{Enqueued: 100}
	if m.Move(5); m.Due() != 0 {
		t.Errorf("got an item due at %d, want one that is at once", m.Due())
	}
}

func TestTheOriginOfAnItemThatIsGoneOrDamagedIsAnError(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	k := &keeper{t: t, l: l}
	for range 200 {
		k.append(1000)
	}
	p, _, _, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Corrupt("/data/q/"+m.files(".seg")[0], 1024+60, 0xff); err != nil {
		t.Fatal(err)
	}
	if from, err := l.Origin(p); !errors.Is(err, wal.ErrDamaged) || from != nil {
		t.Errorf("got %v and %v, want ErrDamaged", from, err)
	}
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	settle(l)
	if from, err := l.Origin(p); !errors.Is(err, wal.ErrGone) || from != nil {
		t.Errorf("got %v and %v, want ErrGone", from, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Origin(p); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
