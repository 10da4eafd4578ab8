package items

// Reading a queue from its files: every item on disk, taken or not, in order, and the damage
// between them. Dump, export and rewind use it.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"runtime/debug"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

// State says whether an item would be delivered.
type State string

const (
	Live    State = "live"
	Taken   State = "taken"
	Expired State = "expired" // not taken; it would be dropped instead of delivered
	Damaged State = "damaged" // cannot be read
)

// Record is an item, or a range in which no item can be read. It is valid until the next one.
type Record struct {
	State State
	Seq   uint64 // if Damaged: the first item that is missing
	// Last is the last item that is missing, if Damaged. It is below Seq if it is not known that
	// any item is missing.
	Last              uint64
	Enqueued, Expires int64       // Unix ms; 0: not known, never
	Due               int64       // Unix ms; 0: at once
	Origin            *wal.Origin // where it was before; nil: it was not moved here
	Consumer          uint16      // the one consumer that it is for; 0: all
	Flags             uint32      // the client's flags
	Size              int64       // bytes of payload
	Deliveries        uint32      // how often it was delivered at least, where noted; else 0
	File              string      // name of the file; "" if the file is missing
	Err               error       // if Damaged: what is wrong

	// From and To are the range in the file, in a cold segment that of the item's blocks. Both are
	// 0 if it is not known.
	From, To int64

	path    string
	payload []byte // in the map, unless the item has a body
	body    *inspect.FileInfo
	in      *inspect.Inspection
}

var (
	errMissing = errors.New("no file holds these items")
	errNoBody  = errors.New("the file with the body is missing or has the wrong size")
)

// Payload returns an item's payload. Reading ends with inspect.ErrDamaged where it is damaged. The
// error is fs.ErrNotExist if the item was taken and its body is removed.
func (r *Record) Payload() (io.ReadCloser, error) {
	switch {
	case r.body == nil:
	case r.body.Name == "":
		return nil, fs.ErrNotExist
	default:
		return r.in.OpenBody(*r.body)
	}
	b, err := r.copyOut()
	return io.NopCloser(bytes.NewReader(b)), err
}

// copyOut copies the payload out of the map. A page of the map that cannot be read is an error.
func (r *Record) copyOut() (b []byte, err error) {
	defer segment.Guard(r.path, debug.SetPanicOnFault(true), &err)
	return bytes.Clone(r.payload), nil
}

// Reading reads a queue.
type Reading struct {
	// Warning says that the offset file is damaged, so that no item counts as taken. A server would
	// set the file aside and deliver everything again.
	Warning error

	in    *inspect.Inspection
	taken *inspect.Offsets
	now   int64
}

// Read lists a queue's files. now decides which items have expired. Nobody may write to the queue
// meanwhile.
func Read(fsys disk.FS, q datadir.Queue, now time.Time) (*Reading, error) {
	in, err := inspect.Open(fsys, q.Path)
	if err != nil {
		return nil, err
	}
	r := &Reading{in: in, now: now.UnixMilli()}
	r.taken, err = in.Taken("")
	if errors.Is(err, inspect.ErrNoOffsets) {
		r.Warning, err = err, nil
		r.taken = inspect.NewOffsets("", 0, 0, 0)
	}
	return r, err
}

// Records returns the records of the queue. It ends with the first error, which is a read error:
// damage is a record.
func (r *Reading) Records() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		files, err := r.in.InOrder()
		if err != nil {
			yield(nil, err)
			return
		}
		w := &walk{Reading: r, yield: yield, next: r.taken.Head}
		if len(files) > 0 && (w.next == 0 || w.next > files[0].Number) {
			w.next = files[0].Number
		}
		for _, f := range files {
			if !w.segment(f) {
				return
			}
		}
		w.flush(w.next)
	}
}

// walk is one pass over the records. Damage is held back until the next item shows what is missing.
type walk struct {
	*Reading
	yield   func(*Record, error) bool
	next    uint64  // the expected number
	damaged *Record // damage that is held back
}

// segment visits one file. It returns false to end the pass.
func (w *walk) segment(f inspect.FileInfo) bool {
	v, err := w.in.OpenSegment(f)
	if err == nil && v.Header().First != f.Number {
		err = fmt.Errorf("%w: its first item is %d", segment.ErrNotSegment, v.Header().First)
		v.Close()
	}
	switch {
	case err == nil:
		defer v.Close()
	case errors.Is(err, segment.ErrBlank):
		return true
	case errors.Is(err, segment.ErrNotSegment), errors.Is(err, segment.ErrHeaderLost),
		errors.Is(err, segment.ErrFault):
		return w.damage(f.Name, 0, f.Size, err)
	default:
		return w.yield(nil, err)
	}
	if !w.flush(f.Number) {
		return false
	}
	for s := range v.Steps() {
		going := false
		if s.Err != nil {
			from, to := v.FileRange(s.From, s.To)
			going = w.damage(f.Name, from, to, s.Err)
		} else {
			going = w.until(v, s.Record.Seq) && w.item(f, v, s)
		}
		if !going {
			return false
		}
	}
	for _, d := range v.Found {
		if d.Tail && !d.Unfinished && !d.Meta &&
			!w.damage(f.Name, int64(d.From), int64(d.To), segment.ErrDamaged) {
			return false
		}
	}
	return true
}

// until is flush within a segment. A cold segment has no records of taken items. If it is not known
// which were taken, nothing counts as missing in it.
func (w *walk) until(v *inspect.SegmentView, seq uint64) bool {
	if v.Cold() && w.Warning != nil && w.damaged == nil {
		w.next = max(w.next, seq)
	}
	return w.flush(seq)
}

// item passes on an item.
func (w *walk) item(f inspect.FileInfo, v *inspect.SegmentView, s *inspect.Step) bool {
	rec := &s.Record
	from, to := v.FileRange(s.From, s.To)
	origin, err := originOf(v.Path(), rec)
	if err != nil {
		return w.damage(f.Name, from, to, err)
	}
	r := &Record{
		Seq: rec.Seq, Enqueued: rec.Enqueued, Expires: rec.Expires, Due: rec.Due, Origin: origin,
		Consumer: rec.Consumer, Flags: rec.ClientFlags, Size: int64(len(rec.Payload)),
		File: f.Name, From: from, To: to,
		path: v.Path(), payload: rec.Payload, in: w.in,
	}
	if size, upload, large := inspect.LargeItem(rec); large {
		body, ok := w.in.Body(rec.Seq, upload)
		r.Size, r.body = size, &body
		if !ok || body.Size != inspect.BodyFileSize(size) {
			r.Err = errNoBody
		}
	}
	switch {
	case w.taken.Has(r.Seq):
		r.State = Taken
	case r.Err != nil:
		r.State, r.Last = Damaged, r.Seq
	case r.Expires != 0 && r.Expires <= w.now:
		r.State = Expired
	default:
		r.State = Live
	}
	r.Deliveries = w.taken.Deliveries(r.Seq)
	w.next = r.Seq + 1
	return w.yield(r, nil)
}

// originOf reads where an item came from. A page of the map that cannot be read is an error.
func originOf(path string, r *segment.Record) (o *wal.Origin, err error) {
	defer segment.Guard(path, debug.SetPanicOnFault(true), &err)
	return wal.DecodeOrigin(r.Note), nil
}

// damage holds a damaged range back, and passes on the one before it.
func (w *walk) damage(file string, from, to int64, err error) bool {
	if d := w.damaged; d != nil {
		d.Last = 0 // it is not known which of the two held the missing items
		if !w.yield(d, nil) {
			return false
		}
	}
	w.damaged = &Record{State: Damaged, Seq: w.next, File: file, From: from, To: to, Err: err}
	return true
}

// flush passes on the damage that is held back, or items missing before number seq.
func (w *walk) flush(seq uint64) bool {
	d := w.damaged
	w.damaged = nil
	if d == nil && seq > w.next && w.anyLeft(w.next, seq) {
		d = &Record{State: Damaged, Seq: w.next, Err: errMissing}
	}
	if d != nil {
		d.Last = seq - 1
	}
	w.next = max(w.next, seq)
	return d == nil || w.yield(d, nil)
}

// anyLeft reports whether a number in [from, to) is not taken. A taken item may have no record: a
// power cut can keep the removal of an item and lose the item.
func (w *walk) anyLeft(from, to uint64) bool {
	for range w.taken.Missing(from, to-1) {
		return true
	}
	return false
}
