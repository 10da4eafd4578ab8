package wal

// A glance at a log that nobody has open: what its files say, and whether opening it would free
// disk space. It changes nothing, and reads only the last segment's totals, the place of the head
// and the offset files. So thousands of logs are looked at in a second.

import (
	"errors"
	"io"
	"math"
	"path/filepath"
	"sync"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/identity"
	"github.com/darner/darner/wal/internal/offset"
	"github.com/darner/darner/wal/internal/settle"
)

// Glance is what the files of a log say.
type Glance struct {
	Items, Bytes int64  // that the log's own consumer has not taken
	Appended     uint64 // items since the log was created
	Segments     int
	CreatedUnix  int64 // ms

	// When the first item that is not taken was put, in Unix ms; 0 if there is none or it cannot be
	// read.
	Enqueued int64

	// Expires is when the first item expires that may not be taken, or earlier; Due is the latest
	// due time of any item, or later. Both are in Unix ms; 0: none has one.
	Expires, Due int64

	// Unsure says that records are missing, as after a power cut: how many Items and Bytes there
	// are, and when they expire, is known once the log is open.
	Unsure bool

	// Waste says that Open, Slim and Close would free disk space: files that a crash left, blocks
	// allocated ahead, segments with nothing left, a log that is empty or nearly so.
	Waste bool
}

// Look glances at the log in a directory. Nobody may have the log open. It passes over damage,
// which is for Open to judge. Errors are those of the disk.
func Look(fsys disk.FS, dir string) (Glance, error) {
	d, err := files.List(fsys, dir)
	if err != nil {
		return Glance{}, err
	}
	v := &viewer{fs: bySmallReads{fsys}, dir: dir, d: d}
	s, err := settle.Look(v.fs, dir, &d, 0)
	if err != nil {
		return Glance{}, err
	}
	v.segments, _ = files.WithoutSuperseded(s.Segments, nil)
	v.Segments, v.durable = len(v.segments), s.Durable
	if err := v.lookAtTail(); err != nil {
		return Glance{}, err
	}
	if v.tail != nil {
		defer v.tail.Close()
	}
	if err := v.lookAtConsumers(); err != nil {
		return Glance{}, err
	}
	v.lookAtTimes()
	v.Waste = v.wasteful()
	return v.Glance, nil
}

// viewer is a glance under way.
type viewer struct {
	Glance
	fs       disk.FS
	dir      string
	d        files.Listing
	segments []files.Info     // in order
	durable  uint64           // see settle.Durable
	tail     *segment.Segment // the last readable one; nil if there is none
	next     uint64           // sequence number of the next item
	bytes    uint64           // appended since the log was created
	least    uint64           // all consumers have taken all items below
	live     int64            // bytes that some consumer has yet to take
	offsets  int64            // bytes that offset files could free
}

func (v *viewer) path(f files.Info) string { return filepath.Join(v.dir, f.Name) }

func (v *viewer) open(f files.Info) (*segment.Segment, []segment.Damage, error) {
	o := segment.OpenOptions{First: settle.First(f.Number, v.durable)}
	return segment.Open(v.fs, v.path(f), o)
}

// lookAtTail opens the last segment, which says what came before it.
func (v *viewer) lookAtTail() error {
	v.next = 1
	for i := len(v.segments) - 1; i >= 0; i-- {
		seg, _, err := v.open(v.segments[i])
		if err == nil {
			return v.begin(seg)
		}
		if !segment.Unreadable(err) {
			return err
		}
	}
	return nil
}

func (v *viewer) begin(seg *segment.Segment) error {
	h, t := seg.Header(), seg.Totals()
	v.tail, v.next = seg, max(h.First, t.Last+1)
	v.Appended, v.bytes = h.ItemsBefore+t.Items, h.BytesBefore+t.Bytes+largeBytes(seg)
	v.CreatedUnix = h.Created
	v.Unsure = !seg.Sealed() && t.Items != t.Last+1-h.First || h.First > 1 && h.BytesBefore == 0
	return nil
}

// lookAtConsumers finds out what is taken. A log without an offset file has its own consumer too.
func (v *viewer) lookAtConsumers() error {
	oldest := offset.New(v.next, 0, 0)
	switch {
	case len(v.segments) > 0 && (v.tail == nil || v.segments[0].Number < v.tail.Header().First):
		oldest.Head = v.segments[0].Number
	case v.tail != nil:
		oldest.Head, oldest.Below = v.tail.Header().First, v.tail.Header().BytesBefore
	}
	own := false
	v.least = v.next
	for _, f := range v.d.Of[files.Offset] {
		st, err := v.offsetsOf(f)
		if errors.Is(err, offset.ErrNoSlot) {
			continue
		}
		if err != nil {
			return err
		}
		name := f.Consumer()
		if name == "" {
			own, v.CreatedUnix = true, st.Created
		}
		v.lookAt(name, &st)
	}
	if !own {
		v.lookAt("", &oldest)
	}
	return nil
}

func (v *viewer) offsetsOf(f files.Info) (offset.State, error) {
	st, log, size, err := offset.Peek(v.fs, v.path(f))
	if err == nil && v.tail != nil && identity.Foreign(log, v.tail.Header().Log) {
		return st, offset.ErrNoSlot // it will be set aside
	}
	if err == nil && st.Size() <= smallEnough/2 {
		v.offsets += max(0, int64(size)-smallEnough)
	}
	return st, err
}

// lookAt adds what a consumer has yet to take.
func (v *viewer) lookAt(name string, st *offset.State) {
	v.least = min(v.least, st.Head)
	_, beyond := st.Taken.From(v.next)
	if v.tail != nil && (beyond || st.Has(v.next)) {
		v.Unsure = true // what was taken is missing
	}
	if v.next <= st.Head {
		return
	}
	items := int64(v.next - st.Head - min(st.Taken.Count, v.next-st.Head))
	bytes := max(0, int64(v.bytes)-int64(st.Below)-int64(st.Taken.Bytes))
	v.live += liveBytes(items, bytes)
	if name == "" {
		v.Items, v.Bytes = items, bytes
		if items > 0 {
			v.lookAtHead(st)
		}
	}
}

// lookAtHead reads the first item that is not taken.
func (v *viewer) lookAtHead(st *offset.State) {
	seq := st.Head
	if x, ok := st.Taken.Find(seq); ok {
		seq = x.To + 1
	}
	seg := v.tail
	if seg == nil {
		return
	}
	if seq < seg.Header().First {
		if len(v.segments) == 0 { // its segment is gone
			return
		}
		i := len(v.segments) - 1
		for i > 0 && v.segments[i].Number > seq {
			i--
		}
		var err error
		if seg, _, err = v.open(v.segments[i]); err != nil {
			return
		}
		defer seg.Close()
	}
	at, err := seg.Find(seq)
	if err != nil {
		return
	}
	if r, _, err := seg.At(at); err == nil {
		v.Enqueued = r.Enqueued
	}
}

// lookAtTimes finds out when items expire and are due.
func (v *viewer) lookAtTimes() {
	if v.tail == nil || v.live == 0 {
		return
	}
	h, t := v.tail.Header(), v.tail.Totals()
	if v.Due = max(h.DueBefore, t.LatestDue); h.DueBefore == segment.NotKnown {
		v.Due = math.MaxInt64
	}
	v.Expires = t.EarliestExpiry
	if !h.Expiring {
		return
	}
	const few = 8 // more are read when the log is open
	before := v.segments
	for len(before) > 0 && before[len(before)-1].Number >= h.First {
		before = before[:len(before)-1]
	}
	for len(before) > 1 && before[1].Number <= v.least {
		before = before[1:]
	}
	if len(before) > few {
		v.Expires = 1
		return
	}
	for _, f := range before {
		seg, _, err := v.open(f)
		if err != nil {
			continue
		}
		v.Expires = earlier(v.Expires, seg.Totals().EarliestExpiry)
		seg.Close()
	}
}

// worthTrimming is how many bytes allocated ahead, left by a crash, make it worth closing a log
// anew.
const worthTrimming = 16 << 10

// wasteful is Glance.Waste.
func (v *viewer) wasteful() bool {
	switch {
	case len(v.d.Of[files.Spare])+len(v.d.Of[files.Part]) > 0,
		len(v.d.Of[files.Unfinished])+len(v.d.Of[files.Rewrite]) > 0,
		len(v.segments) < len(v.d.Of[files.Segment]),
		len(v.segments) > 1 && v.segments[1].Number <= v.least,
		len(v.d.Of[files.Body]) > 0 && v.d.Of[files.Body][0].Number < v.least,
		v.offsets > 0:
		return true
	case v.tail == nil:
		return false
	case !v.tail.Sealed() && v.tail.Size()-int64(v.tail.Tail()) >= worthTrimming: // blocks ahead
		return true
	case v.least >= v.next:
		return v.tail.Size() > smallEnough
	}
	return nearlyEmpty(v.live, v.d.Blocks)
}

// bySmallReads is a file system that reads small files rather than mapping them: for a glance a map
// costs more.
type bySmallReads struct{ disk.FS }

func (f bySmallReads) OpenRead(name string) (disk.File, error) {
	file, err := f.FS.OpenRead(name)
	if err != nil {
		return nil, err
	}
	return &readFile{File: file}, nil
}

// readFile is a file whose small maps are copies.
type readFile struct {
	disk.File
	copied *[smallMap]byte // nil if it is mapped
}

const smallMap = 64 << 10

var smallMaps = sync.Pool{New: func() any { return new([smallMap]byte) }}

func (f *readFile) Map(n int, writable bool) ([]byte, error) {
	if n > smallMap || writable || f.copied != nil {
		return f.File.Map(n, writable)
	}
	copied := smallMaps.Get().(*[smallMap]byte)
	got, err := f.ReadAt(copied[:n], 0)
	if err != nil && err != io.EOF {
		smallMaps.Put(copied)
		return nil, err
	}
	clear(copied[got:n])
	f.copied = copied
	return copied[:n], nil
}

func (f *readFile) Unmap(b []byte) error {
	if f.copied == nil || &b[0] != &f.copied[0] {
		return f.File.Unmap(b)
	}
	smallMaps.Put(f.copied)
	f.copied = nil
	return nil
}
