package segment

// The header: what is needed to read the rest. It is written twice, into two sectors, so that a
// lost sector does not cost the segment. A file that is used again has it a third time, at the end
// of its capacity, until it is sealed: its first page may be lost, and what follows the records
// must not be taken for some.
//
//	 0  magic       8 bytes "DARNSEG\n"
//	 8  version     uint32
//	12  longest     uint32   payload bytes, 0 = any
//	16  salt        uint64
//	24  use         uint64   0 for a new file; differs each time that it is used again
//	32  first       uint64   sequence number that the segment starts with
//	40  created     int64    Unix ms
//	48  capacity    uint64   bytes
//	56  itemsBefore uint64
//	64  bytesBefore uint64
//	72  log         uint64   identity of the log, 0 = not known
//	80  dueBefore   int64    the latest due time of items before; 0 none has one; -1 not known
//	88  expiring    uint64   1: items before may expire; 0: none does
//	96  reserved, zeros
//	120 checksum    uint64   over bytes 0 to 119
//
// Magic, version and checksum keep their places in every later version.

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// HeaderSize is where the records start.
const HeaderSize = 1024

// version is the version of the format that this package reads and writes.
const version = 2

const (
	headerLen    = 128
	headerCopy   = 512 // offset of the second copy
	headerMagic  = "DARNSEG\n"
	versionPlace = 8
)

// Header is what a segment says about itself.
type Header struct {
	Salt        uint64 // of the file, random; 0 makes Start pick one
	Use         uint64 // 0 for a new file; differs each time that it is used again; Start sets it
	First       uint64 // sequence number that the segment starts with
	Created     int64  // Unix milliseconds; 0 means not known
	Capacity    int64  // of the file, in bytes; Create sets it
	ItemsBefore uint64 // items ever appended to the log before this segment
	BytesBefore uint64 // their bytes, as the log counts them
	Log         uint64 // random identity of the log it is part of; 0 means not known

	// DueBefore is the latest due time of the items before, in Unix ms: 0 if none has one, or
	// NotKnown. Expiring says that one of them expires, or that it is not known.
	DueBefore int64
	Expiring  bool

	// Longest bounds the payload of a record, in bytes; 0 means no bound. With a bound, skipping
	// damage is fast whatever the payloads contain.
	Longest uint32
}

// NotKnown is the DueBefore of a header that was lost.
const NotKnown = -1

// newSalt returns a random salt. It is not 0.
func newSalt() uint64 {
	for {
		if salt := rand.Uint64(); salt != 0 {
			return salt
		}
	}
}

func (h *Header) key() key {
	return key{salt: h.salt(), first: h.First, least: h.First, longest: h.Longest}
}

// foreign reports whether the segment belongs to another log than the one given. An identity of 0
// matches any.
func (h *Header) foreign(log uint64) bool { return h.Log != 0 && log != 0 && h.Log != log }

func (h *Header) encode() (b [headerLen]byte) {
	h.put(b[:])
	le.PutUint64(b[headerLen-checksum.Size:], checksum.Of(b[:headerLen-checksum.Size]))
	return b
}

// put writes all but the checksum.
func (h *Header) put(b []byte) {
	copy(b, headerMagic)
	le.PutUint32(b[versionPlace:], version)
	le.PutUint32(b[12:], h.Longest)
	le.PutUint64(b[16:], h.Salt)
	le.PutUint64(b[24:], h.Use)
	le.PutUint64(b[32:], h.First)
	le.PutUint64(b[40:], uint64(h.Created))
	le.PutUint64(b[48:], uint64(h.Capacity))
	le.PutUint64(b[56:], h.ItemsBefore)
	le.PutUint64(b[64:], h.BytesBefore)
	le.PutUint64(b[72:], h.Log)
	h.putTimes(b[80:])
}

func (h *Header) putTimes(b []byte) {
	le.PutUint64(b, uint64(h.DueBefore))
	if h.Expiring {
		le.PutUint64(b[8:], 1)
	}
}

func (h *Header) getTimes(b []byte) {
	h.DueBefore, h.Expiring = int64(le.Uint64(b)), le.Uint64(b[8:]) != 0
}

// get reads what put wrote.
func (h *Header) get(b []byte) {
	*h = Header{
		Longest:     le.Uint32(b[12:]),
		Salt:        le.Uint64(b[16:]),
		Use:         le.Uint64(b[24:]),
		First:       le.Uint64(b[32:]),
		Created:     int64(le.Uint64(b[40:])),
		Capacity:    int64(le.Uint64(b[48:])),
		ItemsBefore: le.Uint64(b[56:]),
		BytesBefore: le.Uint64(b[64:]),
		Log:         le.Uint64(b[72:]),
	}
	h.getTimes(b[80:])
}

// decode reads one copy; mended says that a flipped bit of it was mended. The error is ErrVersion
// for a copy of another version, and ErrDamaged for anything else that is not sound.
func (h *Header) decode(b []byte) (mended bool, err error) {
	if isVersion1(b, headerMagic) {
		return false, OtherVersion(1)
	}
	b, mended, ok := mendBlock(b, headerLen, 0)
	switch {
	case !ok || string(b[:8]) != headerMagic:
		return false, ErrDamaged
	case le.Uint32(b[versionPlace:]) != version:
		return false, OtherVersion(le.Uint32(b[versionPlace:]))
	}
	h.get(b)
	if h.Salt == 0 || h.Capacity < minCapacity || h.Capacity > MaxCapacity {
		return false, ErrDamaged
	}
	return mended, nil
}

// isVersion1 recognizes what version 1 of the format begins with.
func isVersion1(b []byte, magic string) bool {
	return len(b) >= 12 && string(b[:8]) == magic && le.Uint32(b[versionPlace:]) == 1
}

// mendBlock verifies the first n bytes of b, which end with their checksum, and mends a flipped bit
// in a copy.
func mendBlock(b []byte, n int, seed uint64) (block []byte, mended, ok bool) {
	if len(b) < n {
		return b, false, false
	}
	at := n - checksum.Size
	b = bytes.Clone(b[:n])
	mended, ok = verified(seed, b[at:], b[:at])
	return b, mended, ok
}

// readHeader reads the header from the first [HeaderSize] bytes of a segment and returns which
// copies are damaged, and how many had a flipped bit. The error is [ErrVersion] for another format,
// [ErrHeaderLost] if neither copy is sound but one looks like a header, [ErrBlank] if all bytes are
// zero, and otherwise [ErrNotSegment].
func readHeader(b []byte) (h Header, damage []Damage, flips int, err error) {
	looks := false
	err = ErrHeaderLost
	for at := uint32(0); at < HeaderSize; at += headerCopy {
		c := b[min(len(b), int(at)):min(len(b), int(at+headerCopy))]
		var one Header
		switch mended, e := one.decode(c); {
		case e == nil:
			if mended {
				flips++
			}
			if err != nil {
				h, err = one, nil
			}
			continue
		case errors.Is(e, ErrVersion):
			return Header{}, nil, 0, e
		}
		looks = looks || len(c) >= 8 && string(c[:8]) == headerMagic
		damage = append(damage, Damage{From: at, To: at + headerCopy, Meta: true})
	}
	switch {
	case err == nil:
		return h, damage, flips, nil
	case blank.Bytes(b[:min(len(b), HeaderSize)]):
		return Header{}, nil, 0, ErrBlank
	case !looks:
		return Header{}, nil, 0, ErrNotSegment
	}
	return Header{}, damage, 0, err
}

// Identity returns the log that a segment, cold or not, says it is part of: in its header or, if
// all copies of that are lost, in its footer. It is 0 if neither is readable. Errors are
// [ErrVersion] and those of the disk.
func Identity(fsys disk.FS, path string) (log uint64, err error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, HeaderSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	h, _, _, headErr := readHeader(b[:n])
	switch {
	case headErr == nil:
		return h.Log, nil
	case errors.Is(headErr, ErrVersion):
		return 0, headErr
	}
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	foot := make([]byte, FooterSize)
	if n, err := f.ReadAt(foot, max(0, size-FooterSize)); n < FooterSize {
		if err == io.EOF {
			err = nil
		}
		return 0, err
	}
	cold := coldFile{file: f}
	_, coldErr := cold.readColdHeader(b[:n])
	switch {
	case coldErr == nil:
		return cold.h.Log, nil
	case errors.Is(coldErr, ErrVersion):
		return 0, coldErr
	}
	if footer, _, ok := readFooter(foot, size, 0); ok {
		return footer.Header.Log, nil
	}
	return 0, nil
}
