package segment

// The footer: the last bytes of a sealed segment. With it, nobody has to look at the records to
// open the segment. It repeats the header.
//
//	  0  magic       8 bytes "DARNEND\n"
//	  8  version     uint32
//	 12  entries     uint32   of the index
//	 16  salt        uint64
//	 24  first       uint64   as in the header
//	 32  last        uint64   highest sequence number, first-1 if empty
//	 40  items       uint32
//	 44  large       uint32   records of kind large
//	 48  bytes       uint64   of the payloads
//	 56  log         uint64   as in the header
//	 64  end         uint32   of the records: where the index starts
//	 68  longest     uint32   as in the header
//	 72  index sum   uint64   checksum of the index
//	 80  created     int64    as in the header, like the next two
//	 88  itemsBefore uint64
//	 96  bytesBefore uint64
//	104  oldest      int64    enqueued, Unix ms; 0 if empty
//	112  newest      int64
//	120  capacity    uint64
//	128  expires     int64    the earliest, Unix ms; 0 if none does
//	136  due         int64    the latest, Unix ms; 0 if none has one
//	144  use         uint64   as in the header
//	152  checksum    uint64   over bytes 0 to 151
//
// Both checksums start from the salt and the offset, like a record's.

import "github.com/darner/darner/segment/checksum"

// FooterSize is the size of the footer in bytes.
const FooterSize = 160

const footerMagic = "DARNEND\n"

// Totals sums up a segment's records.
type Totals struct {
	Items          uint64 // records
	Bytes          uint64 // of their payloads
	Large          uint64 // records of kind KindLarge
	Last           uint64 // highest sequence number; the segment's first less one if it is empty
	Oldest, Newest int64  // enqueued, Unix milliseconds; 0 if it is empty

	EarliestExpiry int64 // Unix milliseconds; 0 if no record expires
	LatestDue      int64 // Unix milliseconds; 0 if all records were due at once
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
	t.EarliestExpiry = earliest(t.EarliestExpiry, r.Expires)
	t.LatestDue = max(t.LatestDue, r.Due)
}

// earliest returns the earlier of two times, of which 0 is none.
func earliest(a, b int64) int64 {
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

	entries  uint32
	indexSum uint64
}

// encode returns the footer as it is stored at off.
func (f *footer) encode(off uint32) (b [FooterSize]byte) {
	copy(b[:], footerMagic)
	le.PutUint32(b[versionPlace:], version)
	le.PutUint32(b[12:], f.entries)
	le.PutUint64(b[16:], f.Header.Salt)
	le.PutUint64(b[24:], f.Header.First)
	le.PutUint64(b[32:], f.Totals.Last)
	le.PutUint32(b[40:], uint32(f.Totals.Items))
	le.PutUint32(b[44:], uint32(f.Totals.Large))
	le.PutUint64(b[48:], f.Totals.Bytes)
	le.PutUint64(b[56:], f.Header.Log)
	le.PutUint32(b[64:], f.End)
	le.PutUint32(b[68:], f.Header.Longest)
	le.PutUint64(b[72:], f.indexSum)
	le.PutUint64(b[80:], uint64(f.Header.Created))
	le.PutUint64(b[88:], f.Header.ItemsBefore)
	le.PutUint64(b[96:], f.Header.BytesBefore)
	le.PutUint64(b[104:], uint64(f.Totals.Oldest))
	le.PutUint64(b[112:], uint64(f.Totals.Newest))
	le.PutUint64(b[120:], uint64(f.Header.Capacity))
	le.PutUint64(b[128:], uint64(f.Totals.EarliestExpiry))
	le.PutUint64(b[136:], uint64(f.Totals.LatestDue))
	le.PutUint64(b[144:], f.Header.Use)
	const at = FooterSize - checksum.Size
	le.PutUint64(b[at:], checksum.Update(seedAt(f.Header.salt(), off), b[:at]))
	return b
}

// readFooter reads the footer from b, the last [FooterSize] bytes of a file of size bytes; mended
// says that a flipped bit of it was mended. It is false if the file does not end in a sound footer
// that fits it: then the segment is not sealed, or it is damaged. salt is what the header says that
// checksums start from; 0 makes it believe the footer.
func readFooter(b []byte, size int64, salt uint64) (f footer, mended, ok bool) {
	off := size - FooterSize
	if len(b) != FooterSize || off < HeaderSize || size > MaxCapacity {
		return footer{}, false, false
	}
	h := Header{Salt: le.Uint64(b[16:]), Use: le.Uint64(b[144:])}
	if salt == 0 {
		salt = h.salt()
	}
	b, mended, ok = mendBlock(b, FooterSize, seedAt(salt, uint32(off)))
	if !ok || string(b[:8]) != footerMagic || le.Uint32(b[versionPlace:]) != version {
		return footer{}, false, false
	}
	f = footer{
		Header: Header{
			Salt:        le.Uint64(b[16:]),
			Use:         le.Uint64(b[144:]),
			First:       le.Uint64(b[24:]),
			Created:     int64(le.Uint64(b[80:])),
			Capacity:    int64(le.Uint64(b[120:])),
			ItemsBefore: le.Uint64(b[88:]),
			BytesBefore: le.Uint64(b[96:]),
			Longest:     le.Uint32(b[68:]),
			Log:         le.Uint64(b[56:]),
			DueBefore:   NotKnown, // only the header knows
			Expiring:    true,
		},
		Totals: Totals{
			Last:           le.Uint64(b[32:]),
			Items:          uint64(le.Uint32(b[40:])),
			Bytes:          le.Uint64(b[48:]),
			Large:          uint64(le.Uint32(b[44:])),
			Oldest:         int64(le.Uint64(b[104:])),
			Newest:         int64(le.Uint64(b[112:])),
			EarliestExpiry: int64(le.Uint64(b[128:])),
			LatestDue:      int64(le.Uint64(b[136:])),
		},
		End:      le.Uint32(b[64:]),
		entries:  le.Uint32(b[12:]),
		indexSum: le.Uint64(b[72:]),
	}
	fits := f.End >= HeaderSize && f.End%8 == 0 && int64(f.End)+indexSize(int64(f.entries)) == off
	return f, mended, fits
}
