package segment

import (
	"errors"
	"fmt"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestASegmentWithoutAnyHeaderIsReadAllTheSame(t *testing.T) {
	for _, lost := range []int64{HeaderSize, 4096} {
		t.Run(fmt.Sprint(lost, " bytes lost"), func(t *testing.T) {
			fsys := disktest.New()
			s, err := Create(fsys, "/a", 64<<10)
			if err != nil {
				t.Fatal(err)
			}
			s.Start(Header{First: 7000})
			offsets := map[uint64]uint32{}
			for i := range uint64(200) {
				if err := s.Extend(1000); err != nil {
					t.Fatal(err)
				}
				payload := fmt.Appendf(nil, "payload %d %0*d", i, i%50, 0)
				off, err := s.Append(&Record{Seq: 7000 + i, Kind: KindItem, Payload: payload})
				if err != nil {
					t.Fatal(err)
				}
				offsets[7000+i] = off
			}
			s.Close()
			b, _ := fsys.ReadFile("/a")
			clear(b[:lost])
			fsys.WriteFile("/a", b)

			if _, _, err := Open(fsys, "/a", OpenOptions{}); !errors.Is(err, ErrHeaderLost) {
				t.Fatalf("without its first number: got %v, want ErrHeaderLost", err)
			}
			_, _, err = Open(fsys, "/a", OpenOptions{First: 7000, Write: true})
			if !errors.Is(err, ErrHeaderLost) {
				t.Fatalf("for writing: got %v, want ErrHeaderLost", err)
			}
			s, damage, err := Open(fsys, "/a", OpenOptions{First: 7000})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if len(damage) == 0 {
				t.Error("got no damage, want some")
			}
			for seq, off := range offsets {
				r, _, err := s.At(off)
				if int64(off) < lost {
					continue
				}
				if err != nil || r.Seq != seq {
					t.Fatalf("record %d at byte %d: got %v, %v, want it", seq, off, r.Seq, err)
				}
			}
		})
	}
}
