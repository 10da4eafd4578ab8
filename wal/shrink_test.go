package wal_test

// A log that is empty, or nearly so, gives its space back because of what it is, whatever happened
// before.

import (
	"context"
	"fmt"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

const roomy = 4 << 20 // a segment's size

// largeSegments are options with room for more than is given back in one segment.
func largeSegments(fs *disktest.FS) wal.Options {
	o := options(fs)
	o.SegmentSize = roomy
	return o
}

// killedWith is a disk after the death of a process that had n items set and all but left of them
// taken.
func killedWith(t *testing.T, n, left int) memory {
	t.Helper()
	m := newMemory(t)
	l := open(t, "/data/q", largeSegments(m.FS))
	c := consumer(t, l)
	for i := range n {
		put(t, l, fmt.Sprintf("%0100d", i))
	}
	for range n - left {
		takeOne(t, l, c)
	}
	return memory{m.Clone(), t}
}

// disk is what the files of the log have.
func (m memory) disk() (bytes int64) {
	entries, err := m.ReadDir("/data/q")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		bytes += e.Allocated
	}
	return bytes
}

// slim is Slim with the background at work.
func slim(l *wal.Log) {
	_, release := wal.BackgroundOf(l).Hold()
	release()
	l.Slim(context.Background())
	wal.BackgroundOf(l).Hold()
}

const enough = 20_000 // items of 100 bytes: 2.8 MB of a segment

func TestALogThatIsFoundEmptyGivesItsSpaceBack(t *testing.T) {
	for _, left := range []int{0, 3, 500} {
		t.Run(fmt.Sprint(left, " left"), func(t *testing.T) {
			m := killedWith(t, enough, left)
			if n := m.disk(); n < 2<<20 {
				t.Fatalf("%d bytes after the kill: this test shows nothing", n)
			}
			l := open(t, "/data/q", largeSegments(m.FS))
			c := consumer(t, l)
			rest(l)
			if n := m.disk(); n > 300<<10 {
				t.Errorf("got %d bytes held, want at most 300 KiB: %q", n, m.files(""))
			}
			got := drain(t, l, c)
			if len(got) != left || left > 0 && got[0] != fmt.Sprintf("%0100d", enough-left) {
				t.Fatalf("got %d items, want %d: %.120q", len(got), left, got)
			}
			if s := l.Stats(); s.Damaged != 0 || s.Appended != enough {
				t.Fatalf("got %+v, want nothing damaged", s)
			}
		})
	}
}

func TestSlimFreesSpaceAtOnce(t *testing.T) {
	for _, left := range []int{0, 3, 500} {
		t.Run(fmt.Sprint(left, " left"), func(t *testing.T) {
			m := killedWith(t, enough, left)
			l := open(t, "/data/q", largeSegments(m.FS))
			c := consumer(t, l)
			slim(l)
			if n := m.disk(); n > 300<<10 {
				t.Errorf("got %d bytes held, want at most 300 KiB: %q", n, m.files(""))
			}
			if got := drain(t, l, c); len(got) != left {
				t.Fatalf("got %d items, want %d", len(got), left)
			}
		})
	}
}

// The oldest items are left, so that their reader stays in a segment that is sealed.
func TestSlimRewritesASegmentThatAReaderRestsIn(t *testing.T) {
	m := newMemory(t)
	l := open(t, "/data/q", largeSegments(m.FS))
	c := consumer(t, l)
	fill(t, l, 0, 3*enough) // some segments
	for range 3 {
		next(t, l, c)
	}
	if got := drain(t, l, c); len(got) != 3*enough-3 {
		t.Fatalf("got %d items, want all but 3", len(got))
	}
	// Its offset file is small here: what it had no place for until it is rewritten would come
	// again.
	settle(l)
	m = memory{m.Clone(), t}
	l = open(t, "/data/q", largeSegments(m.FS))
	c = consumer(t, l)
	slim(l)
	if n := m.disk(); n > 300<<10 {
		t.Errorf("got %d bytes held, want at most 300 KiB: %q", n, m.files(""))
	}
	if got := drain(t, l, c); len(got) != 3 || got[0] != payload(0) {
		t.Fatalf("got %d items, want the first 3", len(got))
	}
}

// What is given back once is not written again and again.
func TestALogThatWasSlimmedIsLeftAlone(t *testing.T) {
	m := killedWith(t, enough, 3)
	l := open(t, "/data/q", largeSegments(m.FS))
	consumer(t, l)
	slim(l)
	l.Close()
	before := m.files("")
	for range 3 {
		if g, err := wal.Look(m.FS, "/data/q"); err != nil || g.Waste {
			t.Fatalf("got %+v, %v, want no waste", g, err)
		}
		l := open(t, "/data/q", largeSegments(m.FS))
		consumer(t, l)
		slim(l)
		l.Close()
		if after := m.files(""); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Fatalf("want the files %q, got %q", before, after)
		}
	}
}

func TestALogOfWhichMuchIsLeftIsNotRewritten(t *testing.T) {
	m := killedWith(t, enough, enough/2)
	l := open(t, "/data/q", largeSegments(m.FS))
	consumer(t, l)
	before := m.files(".seg")
	slim(l)
	if after := m.files(".seg"); fmt.Sprint(after) != fmt.Sprint(before) ||
		len(m.files(".cold")) > 0 {
		t.Fatalf("want the segments %q, got %q", before, after)
	}
}

// Uploads break off as clients go away. What was made ready for them is of no use to anybody.
func TestALogWhoseUploadsBrokeOffGivesTheirRoomBack(t *testing.T) {
	for i := range 8 {
		used, slow, size := i&1 > 0, i&2 > 0, 100<<10<<(i>>2)
		t.Run(fmt.Sprint("used before ", used, ", slow ", slow, ", ", size), func(t *testing.T) {
			m := newMemory(t)
			o := largeSegments(m.FS)
			o.InlineMax = 512 << 10
			l := open(t, "/data/q", o)
			c := consumer(t, l)
			if used {
				put(t, l, "first")
				drain(t, l, c)
				rest(l)
			}
			under := begin(t, l, size)
			bring(t, under, []byte(text(size/2, 'x')))
			if n := m.disk(); n < int64(size) {
				t.Fatalf("%d bytes held: this test shows nothing", n)
			}
			if slow {
				rest(l)
			}
			under.Abort()
			rest(l)
			if n := m.disk(); n > 72<<10 {
				t.Errorf("got %d bytes held, want at most 72 KiB: %q", n, m.sizes())
			}
			put(t, l, "second")
			l = reopen(t, m, l)
			if got := drain(t, l, consumer(t, l)); len(got) != 1 || got[0] != "second" {
				t.Errorf("got %q, want the second item", got)
			}
			if s := l.Stats(); s.Damaged > 0 {
				t.Errorf("got %+v, want nothing damaged", s)
			}
		})
	}
}

// Their room is between items, so it cannot be used for others.
func TestRoomOfUploadsThatBrokeOffIsFreedAlsoWhereItemsWait(t *testing.T) {
	for _, after := range []bool{false, true} {
		m := newMemory(t)
		o := largeSegments(m.FS)
		o.InlineMax = 512 << 10
		l := open(t, "/data/q", o)
		consumer(t, l)
		put(t, l, "first")
		want := []string{"first"}
		for range 6 {
			u := begin(t, l, 400<<10)
			bring(t, u, []byte(text(200<<10, 'x')))
			if after {
				put(t, l, "another")
				want = append(want, "another")
			}
			defer u.Abort()
			u.Abort()
		}
		rest(l)
		if n := m.disk(); n > 300<<10 {
			t.Errorf("items in between %v: got %d bytes held, want at most 300 KiB: %q",
				after, n, m.sizes())
		}
		if got := drain(t, l, consumer(t, l)); len(got) != len(want) {
			t.Errorf("items in between %v: got %q, want %q", after, got, want)
		}
		l.Close()
	}
}

func TestAnOldOpenItemDoesNotHoldTheSpaceOfThoseAfterIt(t *testing.T) {
	m := newMemory(t)
	l := open(t, "/data/q", largeSegments(m.FS))
	c := consumer(t, l)
	put(t, l, "open")
	p, _ := next(t, l, c)
	for i := range 3 * enough {
		put(t, l, fmt.Sprintf("%0100d", i))
		takeOne(t, l, c)
		if i%1000 == 0 {
			settle(l)
		}
	}
	rest(l)
	if n := m.disk(); n > 300<<10 {
		t.Errorf("got %d bytes held, want at most 300 KiB: %q", n, m.sizes())
	}
	if err := c.Take(p); err != nil {
		t.Error(err)
	}
	l.Close()
}

func TestUploadsUnderWayAreNoWaste(t *testing.T) {
	m := newMemory(t)
	o := largeSegments(m.FS)
	o.InlineMax = 512 << 10
	l := open(t, "/data/q", o)
	consumer(t, l)
	put(t, l, "first")
	one, other := begin(t, l, 400<<10), begin(t, l, 400<<10)
	one.Abort()
	rest(l)
	if other.Aside() {
		t.Error("got an upload moved, want it where it was")
	}
	other.Abort()
	l.Close()
}
