package fsck_test

// What a segment's header says of the times of items before it survives its damage and its repair,
// as far as it is known; else the log looks for itself.

import (
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func TestARepairForgetsNoItemThatIsDueOrExpiresLater(t *testing.T) {
	const due, expires = 2_000_000_000_000, 1_900_000_000_000
	o := wal.Options{FS: disktest.New(), SegmentSize: wal.MinSegmentSize,
		Logger: slog.New(slog.DiscardHandler)}
	must(t, o.FS.(*disktest.FS).WriteFile(data+"/.lock", nil))
	l, err := wal.Open(data+"/orders", o)
	must(t, err)
	_, err = l.Consumer("", wal.Oldest)
	must(t, err)
	for i := range 40 {
		var m wal.Meta
		if i < 3 { // in the first segment
			m.Expires = expires
			m.SetDue(due)
		}
		_, err := l.Append([]byte(strings.Repeat("x", 4000+i)), m)
		must(t, err)
	}
	must(t, l.Close())
	whole := o.FS.(*disktest.FS)
	names := whole.Names(data + "/orders")
	last := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			last = data + "/orders/" + name
		}
	}
	zero := func(from, to int) func(b []byte) {
		return func(b []byte) { clear(b[from:to]) }
	}
	for what, damage := range map[string]func(b []byte){
		"nothing":      func([]byte) {},
		"first copy":   zero(0, 128),
		"second copy":  zero(512, 640),
		"whole header": zero(0, segment.HeaderSize),
		"a record":     zero(segment.HeaderSize+4100, segment.HeaderSize+4200),
		"the tail":     func(b []byte) { clear(b[len(b)-2000:]) },
	} {
		for _, repaired := range []bool{false, true} {
			fsys := whole.Clone()
			b, err := fsys.ReadFile(last)
			must(t, err)
			damage(b)
			must(t, fsys.WriteFile(last, b))
			if repaired {
				repair(t, fsys)
			}
			g, err := wal.Look(fsys, data+"/orders")
			must(t, err)
			if g.Due < due || g.Expires == 0 || g.Expires > expires {
				t.Errorf("%s damaged, repaired %v: a glance sees due %d and expires %d, want %d and %d",
					what, repaired, g.Due, g.Expires, int64(due), int64(expires))
			}
			o.FS = fsys
			l, err := wal.Open(data+"/orders", o)
			must(t, err)
			c, err := l.Consumer("", wal.Oldest)
			must(t, err)
			later, expired := 0, 0
			must(t, c.EachDue(due-1, func(wal.Position, wal.Meta) { later++ }))
			_, err = c.EachExpired(math.MaxInt64, 0, 0, func(wal.Position, wal.Meta) (bool, bool) {
				expired++
				return true, true
			})
			must(t, err)
			if at := c.Expires(0); later != 3 || expired != 3 || at == 0 {
				t.Errorf("%s damaged, repaired %v: got %d items due later and %d that expire, at %d; want 3",
					what, repaired, later, expired, at)
			}
			must(t, l.Close())
		}
	}
}
