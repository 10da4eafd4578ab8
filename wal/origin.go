package wal

// Where an item came from that was moved here out of another log. Its record keeps that as its
// note:
//
//	0  version     uint8   1
//	1  why         uvarint
//	.. seq         uvarint
//	.. deliveries  uvarint
//	.. enqueued    varint  Unix ms, zigzag
//	.. expires     varint  Unix ms, zigzag
//	.. log                 up to the end of the note
//
// A note of another version is an origin that is not known.

import (
	"encoding/binary"
	"math"
	"runtime/debug"

	"github.com/darner/darner/segment"
)

// Why says why an item was moved.
type Why uint8

const (
	Unknown       Why = iota
	Expired           // it expired there
	Undeliverable     // it was delivered there too often and came back each time
)

func (w Why) String() string {
	switch w {
	case Expired:
		return "expired"
	case Undeliverable:
		return "undeliverable"
	}
	return "unknown"
}

// Origin says where an item was before it was moved. The zero Origin is one that is not known.
type Origin struct {
	Log        string // as its mover called it; cut if a record has no room for so long a name
	Seq        uint64 // its number there
	Why        Why
	Deliveries uint32 // how often it was delivered there at least
	Enqueued   int64  // there, Unix ms
	Expires    int64  // there, Unix ms; 0 = never
}

const originVersion = 1

// note is what the item's record keeps of its origin. It is nil for nil.
func (o *Origin) note() []byte {
	if o == nil {
		return nil
	}
	return o.encode()
}

func (o *Origin) encode() []byte {
	b := append(make([]byte, 0, segment.MaxNote), originVersion)
	b = binary.AppendUvarint(b, uint64(o.Why))
	b = binary.AppendUvarint(b, o.Seq)
	b = binary.AppendUvarint(b, uint64(o.Deliveries))
	b = binary.AppendVarint(b, o.Enqueued)
	b = binary.AppendVarint(b, o.Expires)
	return append(b, o.Log[:min(len(o.Log), segment.MaxNote-len(b))]...)
}

// DecodeOrigin reads the note of a record: nil if it has none, and a zero Origin if this program
// does not know what it says.
func DecodeOrigin(note []byte) *Origin {
	if len(note) == 0 {
		return nil
	}
	r := varints{rest: note[1:], ok: note[0] == originVersion}
	why, seq, deliveries := r.next(math.MaxUint8), r.next(math.MaxUint64), r.next(math.MaxUint32)
	enqueued, expires := r.nextSigned(), r.nextSigned()
	if !r.ok {
		return new(Origin)
	}
	return &Origin{
		Log: string(r.rest), Seq: seq, Why: Why(why), Deliveries: uint32(deliveries),
		Enqueued: enqueued, Expires: expires,
	}
}

// varints reads one number after another. ok is false once one is missing, or is too large.
type varints struct {
	rest []byte
	ok   bool
}

func (r *varints) next(most uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	r.passed(n)
	r.ok = r.ok && v <= most
	return v
}

func (r *varints) nextSigned() int64 {
	v, n := binary.Varint(r.rest)
	r.passed(n)
	return v
}

func (r *varints) passed(n int) {
	r.ok = r.ok && n > 0
	r.rest = r.rest[max(n, 0):]
}

// Origin returns where the item at p, which may be a large one, came from. It is nil if it was not
// moved here. It may wait for the disk. Errors: ErrDamaged, ErrGone, ErrClosed.
func (l *Log) Origin(p Position) (*Origin, error) {
	f, err := l.hold(p)
	if err != nil {
		return nil, l.unread(p, err)
	}
	defer l.release(f)
	o, err := f.origin(p)
	l.requestMend(f)
	return o, l.readError(p, err)
}

func (f *file) origin(p Position) (o *Origin, err error) {
	defer segment.Guard(f.seg.Path(), debug.SetPanicOnFault(true), &err)
	r, err := f.head(p)
	if err != nil {
		return nil, err
	}
	return DecodeOrigin(r.Note), nil
}
