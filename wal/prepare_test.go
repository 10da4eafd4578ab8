package wal

import (
	"testing"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
)

// Pages are populated only where items come fast: pages that no item comes into are written
// to flash for nothing wears it out.
func TestPagesArePopulatedForItemsThatComeFastAlone(t *testing.T) {
	for _, c := range []struct {
		what  string
		every time.Duration // from look to look
		size  int           // of an item
		syncs uint64        // from look to look
		fast  bool
	}{
		{"items come fast", 10 * time.Millisecond, 100, 0, true},
		{"items come slowly", time.Second, 100, 0, false},
		{"each few items are synced", 10 * time.Millisecond, 100, 50, false},
		{"items are so long that they are written", 10 * time.Millisecond, segment.DirectWriteSize, 0,
			false},
	} {
		f := &file{seg: blankSegment(t)}
		var p pace
		now, items, syncs := time.Duration(0), uint64(0), uint64(0)
		for range 5 {
			for filled := 0; filled < 128<<10; filled += c.size {
				items++
				if _, err := f.seg.Append(&segment.Record{Seq: items, Kind: segment.KindItem,
					Payload: make([]byte, c.size)}); err != nil {
					t.Fatal(err)
				}
			}
			now, syncs = now+c.every, syncs+c.syncs
			p.look(f, items, syncs, now)
		}
		if fast := p.ahead > 0; fast != c.fast {
			t.Errorf("%s: got fast %v", c.what, fast)
		}
	}
}

// However few blocks there are ahead, the background is not asked at every append.
func TestPopulatingIsAskedForNowAndThenAlone(t *testing.T) {
	for ahead := int64(populateAhead); ahead <= populateMost; ahead += 256 << 10 {
		s := blankSegment(t)
		p := pace{ahead: ahead}
		for range 4 {
			if again := p.populate(s); again < s.Tail()+populateAhead/8 {
				t.Errorf("%d ahead: got the next time at %d, want it well after %d",
					ahead, again, s.Tail())
			}
			r := segment.Record{Seq: s.Last() + 1, Kind: segment.KindItem,
				Payload: make([]byte, 500<<10)}
			if _, err := s.Append(&r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func blankSegment(t *testing.T) *segment.Segment {
	t.Helper()
	s, err := segment.Create(disktest.New(), "/1.seg", 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Start(segment.Header{First: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Extend(3 << 20); err != nil {
		t.Fatal(err)
	}
	return s
}
