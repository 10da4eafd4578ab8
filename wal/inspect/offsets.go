package inspect

import (
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/offset"
)

var (
	// ErrNoOffsets: nothing in an offset file can be believed.
	ErrNoOffsets = offset.ErrNoSlot

	// ErrBlankOffsets: the file was made, but nothing was ever written to it.
	ErrBlankOffsets = offset.ErrBlank
)

// Offsets is what a consumer has taken, independent of any open log: as its file says, or to be
// written to a file.
type Offsets struct {
	Consumer string
	Log      uint64 // identity of the log; 0 while it is not known
	offset.State
}

// NewOffsets returns the state of a consumer that has taken everything below head, with so many
// bytes in all, and nothing else.
func NewOffsets(consumer string, head, below uint64, created int64) *Offsets {
	return &Offsets{Consumer: consumer, State: offset.New(head, below, created)}
}

// Unite adds what another file of the same consumer says.
func (o *Offsets) Unite(other *Offsets) { o.State.Unite(&other.State, nil) }

// OffsetsView is what ReadOffsets finds in an offset file.
type OffsetsView struct {
	Offsets
	Damage   []OffsetDamage
	Salvaged bool // neither slot verifies: the state is that of the entries
	Lost     bool // something that was in it once is gone, so items that were taken may come again
}

// OffsetDamage is a range of an offset file that does not verify.
type OffsetDamage = offset.Damage

// ReadOffsets reads an offset file or a rewrite of one. Errors are ErrNoOffsets, ErrBlankOffsets,
// ErrVersion, and those of the disk.
func (in *Inspection) ReadOffsets(f FileInfo) (*OffsetsView, error) {
	v, err := offset.Judge(in.fs, in.Path(f), f.Size)
	if err != nil {
		return nil, err
	}
	o := Offsets{Consumer: f.Consumer(), Log: v.Log, State: v.State}
	return &OffsetsView{Offsets: o, Damage: v.Damage, Salvaged: v.Salvaged, Lost: v.Lost}, nil
}

// WriteOffsets puts a state in place of a consumer's offset file: it writes a new file, syncs it,
// renames it over the old one, and syncs the directory. If it is killed at any point, the old state
// or the new one is there. It also removes a rewrite that was interrupted; unite that with the
// state first.
func WriteOffsets(fsys disk.FS, dir string, o *Offsets) error {
	return offset.Replace(fsys, dir, o.Consumer, &o.State, o.Log)
}
