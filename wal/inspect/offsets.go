package inspect

import (
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/offset"
)

var (
	// ErrNoOffsets: nothing of an offset file can be believed.
	ErrNoOffsets = offset.ErrNoSlot

	// ErrBlankOffsets: the file was made, and nothing was ever written to it.
	ErrBlankOffsets = offset.ErrBlank
)

// Offsets is what a consumer has taken, apart from any open log: as its file says, or to be written
// to one.
type Offsets struct {
	Consumer string
	Log      uint64 // identity of the log; 0 while it is not known
	offset.State
}

// NewOffsets returns the state of a consumer that has taken all below head, below bytes in all, and
// nothing else.
func NewOffsets(consumer string, head, below uint64, created int64) *Offsets {
	return &Offsets{Consumer: consumer, State: offset.New(head, below, created)}
}

// Unite adds what another file of the same consumer says.
func (o *Offsets) Unite(other *Offsets) { o.State.Unite(&other.State, nil) }

// OffsetsView is one offset file, examined.
type OffsetsView struct {
	Offsets
	Damage   []OffsetDamage
	Salvaged bool // neither slot verifies: it is the state of the entries
	Lost     bool // of it something is gone that was there once: items that were taken may come again
}

// OffsetDamage is a range of an offset file that does not verify.
type OffsetDamage = offset.Damage

// ReadOffsets reads an offset file or a rewrite. Errors: ErrNoOffsets, ErrBlankOffsets, ErrVersion,
// and those of the disk.
func (in *Inspection) ReadOffsets(f FileInfo) (*OffsetsView, error) {
	v, err := offset.Judge(in.fs, in.Path(f), f.Size)
	if err != nil {
		return nil, err
	}
	o := Offsets{Consumer: f.Consumer(), Log: v.Log, State: v.State}
	return &OffsetsView{Offsets: o, Damage: v.Damage, Salvaged: v.Salvaged, Lost: v.Lost}, nil
}

// WriteOffsets puts a state in place of a consumer's offset file: a new file, synced, renamed over
// the old one, the directory synced. Killed at any point it leaves the old state or the new one. A
// rewrite that was interrupted before goes with the old file: unite it first.
func WriteOffsets(fsys disk.FS, dir string, o *Offsets) error {
	return offset.Replace(fsys, dir, o.Consumer, &o.State, o.Log)
}
