package wal

// A glance at a log that nobody has open: what its files say, and whether opening it would give space back.
// Nothing is changed, and no more is read than the last segment's totals, the place of the head and the
// offset files, so that thousands of logs are looked at in a second.

import (
	"errors"
	"io"
	"path/filepath"
	"sync"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// Glance is what the files of a log say.
type Glance struct {
	Items, Bytes int64  // not taken by the log's own consumer
	Appended     uint64 // items since the log was created
	Segments     int
	CreatedUnix  int64 // ms

	// Of the first item that is not taken, Unix ms; 0 when there is none or it cannot be read.
	Enqueued, Expires int64

	// Waste tells that there is something to give back: files left by a crash, blocks ahead of the tail,
	// segments that are taken, a log that is empty or nearly so. Open, Slim and Close do it.
	Waste bool
}

// Look glances at the log in a directory, which nobody may have open. What is damaged it passes over: it is
// for Open to judge. Errors are those of the disk.
func Look(fsys disk.FS, dir string) (Glance, error) {
	d, err := listDir(fsys, dir)
	if err != nil {
		return Glance{}, err
	}
	v := &viewer{fs: bySmallReads{fsys}, dir: dir, d: d, segments: unsuperseded(d.segments)}
	v.Segments = len(v.segments)
	if err := v.lookAtTail(); err != nil {
		return Glance{}, err
	}
	if v.tail != nil {
		defer v.tail.Close()
	}
	if err := v.lookAtConsumers(); err != nil {
		return Glance{}, err
	}
	v.Waste = v.wasteful()
	return v.Glance, nil
}

// viewer is a glance that is being taken.
type viewer struct {
	Glance
	fs       disk.FS
	dir      string
	d        listing
	segments []entry          // by number
	tail     *segment.Segment // the last one that could be read; nil for none
	next     uint64           // sequence number of the next item
	bytes    uint64           // ever appended
	least    uint64           // all consumers have taken what is below
	live     int64            // bytes that somebody has yet to take
	offsets  int64            // bytes that offset files could give back
}

// unsuperseded leaves out the segments that cold ones stand for.
func unsuperseded(all []entry) (kept []entry) {
	for _, e := range all {
		n := len(kept)
		switch {
		case n > 0 && kept[n-1].supersedes(e):
		case n > 0 && e.supersedes(kept[n-1]):
			kept[n-1] = e
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

func (v *viewer) path(e entry, suffix string) string {
	if e.path != "" {
		return e.path
	}
	return filepath.Join(v.dir, numbered(e.n, suffix))
}

// lookAtTail opens the last segment, which knows what came before it.
func (v *viewer) lookAtTail() error {
	v.next = 1
	for i := len(v.d.spares) - 1; i >= 0; i-- { // one that was started and not renamed yet
		e := v.d.spares[i]
		if seg, _, err := segment.Open(v.fs, v.path(e, spareSuffix), segment.OpenOptions{}); err == nil {
			return v.begin(seg)
		}
	}
	for i := len(v.segments) - 1; i >= 0; i-- {
		e := v.segments[i]
		seg, _, err := segment.Open(v.fs, v.path(e, segmentSuffix), segment.OpenOptions{First: e.n})
		if err == nil {
			return v.begin(seg)
		}
		if !lostWhole(err) {
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
	return nil
}

// lookAtConsumers finds out what is taken. A log without an offset file has its own consumer all the same.
func (v *viewer) lookAtConsumers() error {
	oldest := offsetState{taken: newSpans()}
	switch {
	case len(v.segments) > 0 && (v.tail == nil || v.segments[0].n < v.tail.Header().First):
		oldest.head = v.segments[0].n
	case v.tail != nil:
		oldest.head, oldest.below = v.tail.Header().First, v.tail.Header().BytesBefore
	}
	own := false
	v.least = v.next
	for _, name := range v.d.offsets {
		st, err := v.offsetsOf(name)
		if errors.Is(err, errNoSlot) {
			continue
		}
		if err != nil {
			return err
		}
		if name == "" {
			own, v.CreatedUnix = true, st.created
		}
		v.lookAt(name, &st)
	}
	if !own {
		v.lookAt("", &oldest)
	}
	return nil
}

func (v *viewer) offsetsOf(name string) (st offsetState, err error) {
	path := filepath.Join(v.dir, offsetName(name))
	b, release, err := offsetBytes(v.fs, path)
	if err != nil {
		return st, err
	}
	defer release()
	o := &offsets{path: path, m: b, allocated: len(b), end: entriesAt}
	st, err = o.load()
	if err == nil && v.tail != nil && foreign(o.log, v.tail.Header().Log) {
		return st, errNoSlot // it will be set aside
	}
	if err == nil && int64(st.size()) <= smallEnough/2 {
		v.offsets += max(0, int64(len(b))-smallEnough)
	}
	return st, err
}

// lookAt notes what a consumer has yet to take.
func (v *viewer) lookAt(name string, st *offsetState) {
	v.least = min(v.least, st.head)
	if v.next <= st.head {
		return
	}
	items := int64(v.next - st.head - min(st.taken.count, v.next-st.head))
	bytes := max(0, int64(v.bytes)-int64(st.below)-int64(st.taken.bytes))
	v.live += liveBytes(items, bytes)
	if name == "" {
		v.Items, v.Bytes = items, bytes
		if items > 0 {
			v.lookAtHead(st)
		}
	}
}

// lookAtHead reads the first item that is not taken.
func (v *viewer) lookAtHead(st *offsetState) {
	seq := st.head
	if x, ok := st.taken.find(seq); ok {
		seq = x.to + 1
	}
	seg := v.tail
	if seg == nil {
		return
	}
	if seq < seg.Header().First {
		if len(v.segments) == 0 { // what it was in is gone
			return
		}
		i := len(v.segments) - 1
		for i > 0 && v.segments[i].n > seq {
			i--
		}
		var err error
		if seg, _, err = segment.Open(v.fs, v.path(v.segments[i], segmentSuffix), segment.OpenOptions{First: v.segments[i].n}); err != nil {
			return
		}
		defer seg.Close()
	}
	at, err := seg.Find(seq)
	if err != nil {
		return
	}
	if r, _, err := seg.At(at); err == nil {
		v.Enqueued, v.Expires = r.Enqueued, r.Expires
	}
}

// worthTrimming is how many bytes ahead of the tail a segment has after a crash that make it worth closing anew.
const worthTrimming = 16 << 10

// wasteful is Waste. What it finds is what Open, Slim and Close see to.
func (v *viewer) wasteful() bool {
	switch {
	case len(v.d.spares)+len(v.d.parts)+len(v.d.unfinished)+len(v.d.rewrites) > 0,
		len(v.segments) < len(v.d.segments),
		len(v.segments) > 1 && v.segments[1].n <= v.least,
		len(v.d.items) > 0 && v.d.items[0].n < v.least,
		v.offsets > 0:
		return true
	case v.tail == nil:
		return false
	case !v.tail.Sealed() && v.tail.Size()-int64(v.tail.Tail()) >= worthTrimming: // blocks ahead
		return true
	case v.least >= v.next:
		return v.tail.Size() > smallEnough
	}
	return nearlyEmpty(v.live, v.d.blocks)
}

// bySmallReads is a file system of which small files are read and not mapped: for a glance the map would cost
// more than the bytes.
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
	copied *[smallMap]byte // nil: it is mapped
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
