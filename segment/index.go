package segment

// The index: where to start looking for a sequence number. It is sparse, with an entry for about
// every 16 KiB of records. It is only a help: what it says is verified on the records, and without
// it the records are walked.
//
//	0  magic 8 bytes "DARNIDX\n", then for each entry
//	0  offset   uint32   of a record
//	4  ordinal  uint32   records before it
//	8  sequence uint64   of the record

import (
	"sort"

	"github.com/darner/darner/segment/checksum"
)

const (
	indexMagic = "DARNIDX\n"
	indexEntry = 16
	indexEvery = 16 << 10
)

// index is the encoded form, on the heap or in the map.
type index []byte

func indexSize(entries int64) int64 { return int64(len(indexMagic)) + indexEntry*entries }

// indexBound returns the size in bytes of the largest index that records up to end can have.
func indexBound(end int64) int64 { return indexSize((end-HeaderSize)/indexEvery + 1) }

func (x index) len() int { return max(0, len(x)-len(indexMagic)) / indexEntry }

func (x index) entry(i int) []byte {
	return x[len(indexMagic)+i*indexEntry:][:indexEntry]
}

// note takes the record at off into account; before is the number of records before it.
func (x index) note(off uint32, seq, before uint64) index {
	if n := x.len(); n > 0 && off-le.Uint32(x.entry(n-1)) < indexEvery {
		return x
	}
	if len(x) == 0 {
		x = append(x, indexMagic...)
	}
	x = le.AppendUint32(x, off)
	x = le.AppendUint32(x, uint32(before))
	return le.AppendUint64(x, seq)
}

// start returns the offset from which to walk to find seq.
func (x index) start(seq uint64) (off uint32) {
	n := sort.Search(x.len(), func(i int) bool { return le.Uint64(x.entry(i)[8:]) > seq })
	if n == 0 {
		return HeaderSize
	}
	return le.Uint32(x.entry(n - 1))
}

// sum returns the checksum of the index as it is stored at off.
func (x index) sum(salt uint64, off uint32) uint64 {
	return checksum.Update(seedAt(salt, off), x)
}

// readIndex returns the index of a sealed file, or nil if it is damaged. A flipped bit is mended in
// a copy.
func readIndex(b []byte, f *footer) (x index, fixes []flip) {
	x = index(b[f.End:][:indexSize(int64(f.entries))])
	if x.sum(f.Header.salt(), f.End) != f.indexSum {
		bit, ok := checksum.Flipped(seedAt(f.Header.salt(), f.End), f.indexSum, x)
		if !ok || bit == checksum.InSum {
			return nil, nil
		}
		x = append(index(nil), x...)
		checksum.Flip(x, bit)
		fixes = append(fixes, flipAt(f.End, bit))
	}
	if string(x[:len(indexMagic)]) != indexMagic {
		return nil, nil
	}
	return x, fixes
}
