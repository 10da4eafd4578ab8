package segment

// The header: what is needed to read the rest. It is written twice, into two sectors, so that a
// lost sector does not cost the segment.
//
//	 0  magic       8 bytes "DARNSEG\n"
//	 8  version     uint32
//	12  salt        uint32
//	16  first       uint64   sequence number that the segment starts with
//	24  created     int64    Unix ms
//	32  capacity    uint64   bytes
//	40  itemsBefore uint64
//	48  bytesBefore uint64
//	56  longest     uint32   payload bytes, 0 = any
//	60  reserved, zeros
//	116 log         uint64   identity of the log, 0 = not known
//	124 checksum    uint32   CRC-32C over bytes 0 to 123
//
// Magic, version and checksum keep their places in every later version.

import (
	"io"
	"math/rand/v2"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// HeaderSize is where the records start.
const HeaderSize = 1024

// version is the version of the format that this package writes.
const version = 1

const (
	headerLen    = 128
	headerCopy   = 512 // offset of the second copy
	headerMagic  = "DARNSEG\n"
	versionPlace = 8
	logPlace     = 116 // the same in a cold file's header
)

// Header is what a segment says about itself.
type Header struct {
	Salt        uint32 // what checksums start from; 0 makes Start pick a random one
	First       uint64 // sequence number that the segment starts with
	Created     int64  // Unix milliseconds; 0 means not known
	Capacity    int64  // of the file, in bytes; Create sets it
	ItemsBefore uint64 // items ever appended to the log before this segment
	BytesBefore uint64 // their bytes, as the log counts them
	Log         uint64 // random identity of the log it is part of; 0 means not known

	// Longest bounds the payload of a record, in bytes; 0 means no bound. With a bound, skipping
	// damage is
	// fast whatever the payloads contain.
	Longest uint32
}

// newSalt returns a random salt. It is not 0, which asks Start for one.
func newSalt() uint32 {
	for {
		if salt := rand.Uint32(); salt != 0 {
			return salt
		}
	}
}

func (h *Header) key() key { return key{h.Salt, h.First, h.Longest} }

// foreign reports whether the segment belongs to another log than the one given. An identity of 0
// matches any.
func (h *Header) foreign(log uint64) bool { return h.Log != 0 && log != 0 && h.Log != log }

func (h *Header) encode() (b [headerLen]byte) {
	copy(b[:], headerMagic)
	le.PutUint32(b[versionPlace:], version)
	le.PutUint32(b[12:], h.Salt)
	le.PutUint64(b[16:], h.First)
	le.PutUint64(b[24:], uint64(h.Created))
	le.PutUint64(b[32:], uint64(h.Capacity))
	le.PutUint64(b[40:], h.ItemsBefore)
	le.PutUint64(b[48:], h.BytesBefore)
	le.PutUint32(b[56:], h.Longest)
	le.PutUint64(b[logPlace:], h.Log)
	le.PutUint32(b[headerLen-4:], checksum.Of32(b[:headerLen-4]))
	return b
}

// decode reads one copy. The error is ErrVersion for a sound copy of a newer version, and
// ErrDamaged for anything else that is not sound.
func (h *Header) decode(b []byte) error {
	if len(b) < headerLen || string(b[:8]) != headerMagic ||
		checksum.Of32(b[:headerLen-4]) != le.Uint32(b[headerLen-4:]) {
		return ErrDamaged
	}
	if le.Uint32(b[versionPlace:]) != version {
		return ErrVersion
	}
	*h = Header{
		Salt:        le.Uint32(b[12:]),
		First:       le.Uint64(b[16:]),
		Created:     int64(le.Uint64(b[24:])),
		Capacity:    int64(le.Uint64(b[32:])),
		ItemsBefore: le.Uint64(b[40:]),
		BytesBefore: le.Uint64(b[48:]),
		Longest:     le.Uint32(b[56:]),
		Log:         le.Uint64(b[logPlace:]),
	}
	if h.Capacity < minCapacity || h.Capacity > MaxCapacity {
		return ErrDamaged
	}
	return nil
}

// readHeader reads the header from the first [HeaderSize] bytes of a segment and returns which
// copies are damaged. The error is [ErrVersion] for a newer format, [ErrHeaderLost] if neither copy
// is sound but one looks like a header, [ErrBlank] if all bytes are zero, and otherwise
// [ErrNotSegment].
func readHeader(b []byte) (h Header, damage []Damage, err error) {
	looks := false
	err = ErrHeaderLost
	for at := uint32(0); at < HeaderSize; at += headerCopy {
		c := b[min(len(b), int(at)):min(len(b), int(at+headerCopy))]
		var one Header
		switch e := one.decode(c); e {
		case nil:
			if err != nil {
				h, err = one, nil
			}
			continue
		case ErrVersion:
			return Header{}, nil, e
		}
		looks = looks || len(c) >= 8 && string(c[:8]) == headerMagic
		damage = append(damage, Damage{From: at, To: at + headerCopy, Meta: true})
	}
	switch {
	case err == nil:
		return h, damage, nil
	case blank.Bytes(b[:min(len(b), HeaderSize)]):
		return Header{}, nil, ErrBlank
	case !looks:
		return Header{}, nil, ErrNotSegment
	}
	return Header{}, damage, err
}

// Identity returns the log that a segment, cold or not, says it is part of: in its header or, if
// all copies of that are lost, in its footer. It is 0 if neither is readable. Errors are those of
// the disk.
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
	if h, _, err := readHeader(b[:n]); err == nil {
		return h.Log, nil
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
	if _, err := cold.readColdHeader(b[:n]); err == nil {
		return cold.h.Log, nil
	}
	if footer, ok := readFooter(foot, size); ok {
		return footer.Header.Log, nil
	}
	return 0, nil
}
