package fsck

// Examining one queue: a single pass over its files in the order of their items, holding a few bytes
// for each file and none for an item.

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

// examination is what is known of a queue.
type examination struct {
	q        datadir.Queue
	o        *Options
	t        *tally
	progress *progress
	in       *inspect.Inspection
	row      Row

	consumers []*consumer
	segments  []*segmentFile
	end       uint64 // the number behind the last item
	durable   uint64 // all items below were synced once, by what the offset files say
	told      bool   // some offset file tells that
	cut       bool   // the log ends before
	everItems uint64 // that came before, taken or not, as headers count them
	everBytes uint64
	lost      *inspect.Offsets // items that are wanted and cannot be read, as if they were taken

	bodies  []inspect.FileInfo // not come to yet
	claimed map[uint64]uint64  // items whose bodies have their uploads' names, by upload
	aside   []inspect.FileInfo // bodies that are of no use to the queue
	large   Use                // all bodies

	handsOff bool // something is newer than this program or cannot be read: no repair
}

// consumer is what one consumer has taken, by all its files.
type consumer struct {
	state *inspect.Offsets // nil until something is known
	name  string
	files []inspect.FileInfo
	stale bool // the files are to be written anew
	shown bool // the files hold damage worth keeping

	nothing bool // of its file verifies

	run struct { // of items of which the same is true, as last looked up
		from, last uint64
		taken      bool
	}
	blank bool // a file that never said anything: the log forgets the consumer
}

// has is state.Has for numbers that mostly rise.
func (c *consumer) has(seq uint64) bool {
	if r := &c.run; seq < r.from || seq > r.last {
		r.from = seq
		r.taken, r.last = c.state.Run(seq)
	}
	return c.run.taken
}

func (r *run) examine(t *tally) *examination {
	e := &examination{
		q: r.q, o: r.o, t: t, progress: r.progress, row: Row{Queue: r.q.Name},
		lost: inspect.NewOffsets("", 0, 0, 0), claimed: make(map[uint64]uint64),
		large: Use{Queue: r.q.Name, File: "*.item"},
	}
	var err error
	if e.in, err = inspect.Open(r.o.FS, r.q.Path); err != nil {
		e.trouble("", err)
		return e
	}
	for f := range e.in.All() {
		e.row.Disk += f.Size
	}
	e.bodies = e.in.Files(inspect.BodyFile)
	e.readOffsets()
	e.openSegments()
	e.beginConsumers()
	e.walk()
	e.lastSealed()
	e.planSealing()
	e.planSuperseded()
	e.short()
	e.planEvidence()
	e.restOfBodies()
	e.aheadOfLog()
	e.leftovers()
	e.row.Live += e.large.Live
	e.row.Dead += e.large.Dead + e.large.Damaged
	if e.o.Use != nil && e.large.Size > 0 {
		e.large.shares()
		e.o.Use(e.large)
	}
	return e
}

// trouble notes what the disk does not give.
func (e *examination) trouble(file string, err error) {
	e.handsOff = true
	what := "cannot be examined: " + reason(err)
	if errors.Is(err, fs.ErrPermission) {
		what += " (run as the server's user, or as root)"
	}
	e.t.add(Finding{File: file, Severity: Trouble, Kind: Unreadable, What: what})
}

// reason is an error without the path, which is said already.
func reason(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Op + ": " + p.Err.Error()
	}
	return err.Error()
}

func (e *examination) newer(file string) {
	e.handsOff = true
	e.t.add(Finding{File: file, Severity: Damage, Kind: NewerFormat, What: "is of a newer format: use the darner-fsck of the server that wrote it; nothing in this queue is touched"})
}

// beginConsumers lets a consumer whose head is not known begin at the oldest item, as the server does.
func (e *examination) beginConsumers() {
	e.ownConsumer()
	e.unbelieved()
	first, below, created := uint64(0), uint64(0), int64(0)
	for _, s := range e.segments {
		if first == 0 && s.counts() {
			first = s.first
		}
		if s.err == nil {
			below, created = s.header.BytesBefore, s.header.Created
			break
		}
	}
	for _, c := range e.consumers {
		known := c.state
		if known != nil && known.Head > 0 {
			continue
		}
		c.state = inspect.NewOffsets(c.name, max(first, 1), below, created)
		if known != nil {
			c.state.Unite(known) // a head was not among it
		}
	}
}

// ownConsumer sees to it that there is the queue's own consumer. A server makes its file before the first
// segment.
func (e *examination) ownConsumer() {
	c := e.consumer("")
	if len(c.files) > 0 || !e.anySegment() {
		return
	}
	c.stale = true
	f := Finding{File: inspect.OffsetName(""), Severity: Damage, Kind: OffsetsLost, What: "is missing: all items still on the disk come again, taken or not"}
	if !e.sealedBehind(0) { // its name is synced before a segment is completed
		f.Severity, f.What = Note, "is missing, as after a power cut before the first sync: all items on the disk come"
	}
	e.t.add(f)
}

// unbelieved notes offset files of which nothing verifies. They are synced before a segment is completed, so until then
// a power cut may leave one so.
func (e *examination) unbelieved() {
	for _, c := range e.consumers {
		if !c.nothing {
			continue
		}
		f := Finding{File: inspect.OffsetName(c.name), Severity: Damage, Kind: OffsetsLost, What: "nothing in it verifies: all items still on the disk come again, taken or not"}
		if !e.sealedBehind(0) && e.durable == 0 {
			f.Severity = Note
		}
		e.t.add(f)
	}
}

// anySegment reports whether the log ever had an item, as far as can be seen.
func (e *examination) anySegment() bool {
	for _, s := range e.segments {
		if s.first > 0 && !errors.Is(s.err, segment.ErrBlank) {
			return true
		}
	}
	return false
}

// wanted reports whether some consumer has not taken an item.
func (e *examination) wanted(seq uint64) bool {
	for _, c := range e.consumers {
		if !c.has(seq) {
			return true
		}
	}
	return false
}

// lose notes that the items of [from, to] cannot be read, and returns how many of them are wanted,
// and the first and the last of those.
func (e *examination) lose(from, to uint64) (n, first, last uint64) {
	if from > to {
		return 0, 0, 0
	}
	gap := inspect.NewOffsets("", 0, 0, 0)
	for _, c := range e.consumers {
		if c.blank && e.told { // nothing was kept for it
			continue
		}
		for a, b := range c.state.Missing(from, to) {
			gap.Take(a, b, 0)
			e.lost.Take(a, b, 0)
		}
	}
	for x := range gap.Ranges() {
		if n == 0 {
			first = x[0]
		}
		n += x[1] - x[0] + 1
		last = x[1]
	}
	if n > 0 {
		e.row.Lost += n
		e.row.Gaps++
	}
	return n, first, last
}

// aheadOfLog notes that items were taken which the log does not have any more.
func (e *examination) aheadOfLog() {
	for _, c := range e.consumers {
		if end := c.state.End(); end > e.end && len(c.files) > 0 && !e.cut {
			e.t.add(Finding{File: c.files[0].Name, Severity: Note, Kind: OffsetsAhead,
				What: fmt.Sprintf("is ahead of the log by %d numbers, which will not be used again: what was there was taken, or is lost, and a power cut or a repair took it away", end-e.end)})
		}
	}
}

// leftovers notes files that are no part of the queue.
func (e *examination) leftovers() {
	for _, f := range e.in.Files(inspect.PartFile) {
		if e.claimed[f.Number] == 0 {
			e.t.add(Finding{File: f.Name, Severity: Note, Kind: Upload, What: "an upload that broke off; the server removes it"})
		}
	}
	for _, f := range e.in.Files(inspect.UnfinishedFile) {
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Unfinished, What: "a cold segment that was being written when the server was killed; the server removes it"})
	}
	for _, f := range e.in.Files(inspect.MendFile) {
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Interrupted, What: "left by a repair that was interrupted; the next one removes it"})
	}
	for _, f := range e.in.Files(inspect.ForeignFile) {
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Foreign, What: "is no file of a queue; the server ignores it"})
	}
	for _, name := range e.in.Nested {
		if name != datadir.QuarantineName {
			e.t.add(Finding{File: name, Severity: Note, Kind: Foreign, What: "is a directory of somebody else's and is left alone"})
		}
	}
}
