package segment

import (
	"bytes"
	"testing"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk/disktest"
)

func reserve(t testing.TB, s *Segment, size int) Body {
	t.Helper()
	must(t, s.Extend(ReserveSize(size)))
	b, err := s.Reserve(size)
	must(t, err)
	return b
}

func appendBody(t testing.TB, s *Segment, b Body, r Record) uint32 {
	t.Helper()
	must(t, s.Fill(b, 0, r.Payload))
	off, err := s.AppendBody(b, checksum.Update(s.SumStart(b), r.Payload), &r)
	must(t, err)
	return off
}

func TestAPayloadThatComesInPiecesTakesItsPlaceWhenItIsWhole(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 1<<20)
	a, b := reserve(t, s, 100_000), reserve(t, s, 50)
	first := item(100, 300)
	appendItem(t, s, first)
	long, short := item(102, 100_000), item(101, 50)
	must(t, s.Fill(a, 0, long.Payload[:70_000]))
	mustHold(t, s, []Record{first})
	appendBody(t, s, b, short)
	copy(s.Lend(a, 70_000), long.Payload[70_000:])
	off, err := s.AppendBody(a, checksum.Update(s.SumStart(a), long.Payload), &Record{
		Seq: 102, Kind: KindItem, Flags: long.Flags, ClientFlags: long.ClientFlags,
		Enqueued: long.Enqueued, Expires: long.Expires, Due: long.Due, Consumer: long.Consumer,
		Note: long.Note,
	})
	must(t, err)
	want := []Record{first, short, long}
	mustHold(t, s, want)
	if at, err := s.Find(102); err != nil || at != off {
		t.Errorf("found at %d, %v, want %d", at, err, off)
	}
	data, err := fsys.ReadFile(testPath)
	must(t, err)
	o, damage := open(t, diskWith(t, data), true)
	mustHold(t, o, want)
	if len(damage) > 0 {
		t.Errorf("got damage %+v, want none", damage)
	}
	must(t, s.Seal())
	mustHold(t, s, want)
	if got := s.Totals(); got.Items != 3 || got.Bytes != 100_350 {
		t.Errorf("got totals %+v, want three items of 100350 bytes", got)
	}
}

// What broke off leaves nothing if nothing came after it, and a gap that is no damage otherwise.
func TestAPayloadThatBreaksOffIsNoRecordAndNoDamage(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, release := range []bool{false, true} {
			fsys := disktest.New()
			s := newSegment(t, fsys, 256<<10)
			want := []Record{item(100, 10)}
			appendItem(t, s, want[0])
			tail := s.Tail()
			b := reserve(t, s, 20_000)
			must(t, s.Fill(b, 0, bytes.Repeat([]byte{0xa5}, 15_000)))
			if after {
				want = append(want, item(101, 20))
				appendItem(t, s, want[1])
			}
			if release {
				s.Release(b)
				if !after && s.Tail() != tail {
					t.Errorf("got the tail at %d, want %d: its room is free again", s.Tail(), tail)
				}
			}
			data, err := fsys.ReadFile(testPath)
			must(t, err)
			o, damage := open(t, diskWith(t, data), true)
			for _, d := range damage {
				if !d.Unfinished {
					t.Errorf("after %v, release %v: got damage %+v, want none", after, release, d)
				}
			}
			for _, s := range []*Segment{s, o} {
				more := item(s.Last()+1, 6000)
				appendItem(t, s, more)
				mustHold(t, s, append(want[:len(want):len(want)], more))
			}
		}
	}
}

// The head of a body is only a help to step over it.
func TestALostHeadOfABodyCostsNothing(t *testing.T) {
	active, sealed, stored := victims(t)
	for _, file := range [][]byte{active, sealed} {
		k := testHeader.key()
		var r Record
		n := 0
		for off := uint32(HeaderSize); ; {
			next, ok := k.get(file, off, &r)
			if !ok {
				break
			}
			if r.Kind == kindBody {
				n++
				bad := bytes.Clone(file)
				clear(bad[off:][:recordHead])
				s, _ := open(t, diskWith(t, bad), false)
				mustHold(t, s, stored)
			}
			off = next
		}
		if n == 0 {
			t.Error("got no body, want some")
		}
	}
}

func TestRoomOfPayloadsThatBreakOffInAnyOrderIsUsedAgain(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}} {
		s := newSegment(t, disktest.New(), 64<<10)
		fill(t, s, 2)
		tail := s.Tail()
		var bodies []Body
		for range order {
			bodies = append(bodies, reserve(t, s, 3000))
		}
		for _, i := range order {
			s.Release(bodies[i])
		}
		if s.Tail() != tail {
			t.Errorf("order %v: got a tail at %d, want %d as before", order, s.Tail(), tail)
		}
		must(t, s.Close())
	}
}
