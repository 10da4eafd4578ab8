package segment

// The footer: the last bytes of a sealed segment. With it, nobody has to look at the records to
// open the segment. It repeats the header.
//
//	  0  magic       8 bytes "DARNEND\n"
//	  8  version     uint32
//	 12  salt        uint32
//	 16  first       uint64   as in the header
//	 24  last        uint64   highest sequence number, first-1 if empty
//	 32  items       uint32
//	 36  large       uint32   records of kind large
//	 40  bytes       uint64   of the payloads
//	 48  log         uint64   as in the header
//	 56  end         uint32   of the records: where the index starts
//	 60  entries     uint32   of the index
//	 64  index sum   uint32   checksum of the index
//	 68  longest     uint32   as in the header
//	 72  created     int64    as in the header, like the next two
//	 80  itemsBefore uint64
//	 88  bytesBefore uint64
//	 96  oldest      int64    enqueued, Unix ms; 0 if empty
//	104  newest      int64
//	112  capacity    uint64
//	120  reserved    uint32 = 0
//	124  checksum    uint32   CRC-32C over bytes 0 to 123
//
// Both checksums start from the salt and the offset, like a record's.

import "github.com/darner/darner/segment/checksum"

// FooterSize is the size of the footer in bytes.
const FooterSize = 128

const footerMagic = "DARNEND\n"

// Totals sums up a segment's records.
type Totals struct {
	Items          uint64 // records
	Bytes          uint64 // of their payloads
	Large          uint64 // records of kind KindLarge
	Last           uint64 // highest sequence number; the segment's first less one if it is empty
	Oldest, Newest int64  // enqueued, Unix milliseconds; 0 if it is empty

	EarliestExpiry int64 // Unix milliseconds; 0 if no record expires
	EarliestDue    int64 // Unix milliseconds; 0 if all records were due at once
}

func (t *Totals) add(r *Record) {
	if t.Items == 0 {
		t.Oldest, t.Newest = r.Enqueued, r.Enqueued
	}
	t.Items++
	t.Bytes += uint64(len(r.Payload))
	if r.Kind == KindLarge {
		t.Large++
	}
	t.Last = r.Seq
	t.Oldest, t.Newest = min(t.Oldest, r.Enqueued), max(t.Newest, r.Enqueued)
}

// addTimes is what add does not do for segments that are not cold: their footers have no room.
func (t *Totals) addTimes(r *Record) {
	t.EarliestExpiry = earlier(t.EarliestExpiry, r.Expires)
	t.EarliestDue = earlier(t.EarliestDue, r.Due)
}

// earlier returns the earlier of two times. 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// footer is what a sealed segment says about itself.
type footer struct {
	Header Header
	Totals Totals
	End    uint32 // offset where the records end and the index starts

	entries, indexSum uint32
}

// encode returns the footer as it is stored at off.
func (f *footer) encode(off uint32) (b [FooterSize]byte) {
	copy(b[:], footerMagic)
	le.PutUint32(b[versionPlace:], version)
	le.PutUint32(b[12:], f.Header.Salt)
	le.PutUint64(b[16:], f.Header.First)
	le.PutUint64(b[24:], f.Totals.Last)
	le.PutUint32(b[32:], uint32(f.Totals.Items))
	le.PutUint32(b[36:], uint32(f.Totals.Large))
	le.PutUint64(b[40:], f.Totals.Bytes)
	le.PutUint64(b[48:], f.Header.Log)
	le.PutUint32(b[56:], f.End)
	le.PutUint32(b[60:], f.entries)
	le.PutUint32(b[64:], f.indexSum)
	le.PutUint32(b[68:], f.Header.Longest)
	le.PutUint64(b[72:], uint64(f.Header.Created))
	le.PutUint64(b[80:], f.Header.ItemsBefore)
	le.PutUint64(b[88:], f.Header.BytesBefore)
	le.PutUint64(b[96:], uint64(f.Totals.Oldest))
	le.PutUint64(b[104:], uint64(f.Totals.Newest))
	le.PutUint64(b[112:], uint64(f.Header.Capacity))
	le.PutUint32(b[FooterSize-4:], checksum.Update32(seed(f.Header.Salt, off), b[:FooterSize-4]))
	return b
}

// readFooter reads the footer from b, the last [FooterSize] bytes of a file of size bytes. It is
// false if the file does not end in a sound footer that fits it: then the segment is not sealed, or
// it is damaged.
func readFooter(b []byte, size int64) (footer, bool) {
	off := size - FooterSize
	if len(b) != FooterSize || off < HeaderSize || size > MaxCapacity ||
		string(b[:8]) != footerMagic || le.Uint32(b[versionPlace:]) != version {
		return footer{}, false
	}
	salt := le.Uint32(b[12:])
	if checksum.Update32(seed(salt, uint32(off)), b[:FooterSize-4]) != le.Uint32(b[FooterSize-4:]) {
		return footer{}, false
	}
	f := footer{
		Header: Header{
			Salt:        salt,
			First:       le.Uint64(b[16:]),
			Created:     int64(le.Uint64(b[72:])),
			Capacity:    int64(le.Uint64(b[112:])),
			ItemsBefore: le.Uint64(b[80:]),
			BytesBefore: le.Uint64(b[88:]),
			Longest:     le.Uint32(b[68:]),
			Log:         le.Uint64(b[48:]),
		},
		Totals: Totals{
			Last:   le.Uint64(b[24:]),
			Items:  uint64(le.Uint32(b[32:])),
			Bytes:  le.Uint64(b[40:]),
			Large:  uint64(le.Uint32(b[36:])),
			Oldest: int64(le.Uint64(b[96:])),
			Newest: int64(le.Uint64(b[104:])),
		},
		End:      le.Uint32(b[56:]),
		entries:  le.Uint32(b[60:]),
		indexSum: le.Uint32(b[64:]),
	}
	fits := f.End >= HeaderSize && f.End%8 == 0 && int64(f.End)+indexSize(int64(f.entries)) == off
	return f, fits
}
