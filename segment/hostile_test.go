package segment

import (
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

// A payload made of bytes that look like records, each claiming to be long, must not make stepping
// over its damage slow: the checksums run over Longest bytes for each look-alike, not over what is
// left of the segment.
func TestLookAlikesCostNoMoreThanTheLongestRecord(t *testing.T) {
	const longest = 1 << 10
	fsys := disktest.New()
	s, err := Create(fsys, "/s", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Start(Header{First: 1, Longest: longest})
	long := Record{Seq: 1, Kind: KindItem, Payload: make([]byte, longest+1)}
	if _, err := s.Append(&long); err != ErrFull {
		t.Fatalf("a payload longer than the header allows: got %v, want ErrFull", err)
	}
	h := s.Header()
	k := h.key()
	var r Record
	b := make([]byte, 1<<20)
	k.put(b, HeaderSize, &Record{Seq: 1, Kind: KindItem, Payload: make([]byte, longest+1)})
	if _, ok := k.get(b, HeaderSize, &r); ok {
		t.Fatal("a record longer than the header allows was believed")
	}
}
