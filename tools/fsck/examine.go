package fsck

// Examining one queue: a single pass over its files, in the order of their items. It needs a few
// bytes of memory for each file and none for an item.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

// examination is what is known about a queue.
type examination struct {
	q        datadir.Queue
	o        *Options
	t        *tally
	progress *progress
	in       *inspect.Inspection
	row      Row

	consumers    []*consumer
	segments     []*segmentFile
	end          uint64 // the number after the last item so far
	durable      uint64 // all items below were synced, according to the offset files
	durableKnown bool   // an offset file says what durable is
	endsEarly    bool   // the log ends before durable
	everItems    uint64 // items so far, taken or not, as headers count them
	everBytes    uint64 // bytes of those

	// lost holds the wanted items that cannot be read, in the form of taken items.
	lost *inspect.Offsets

	bodies  []inspect.FileInfo // bodies that the walk has not reached yet
	claimed map[uint64]uint64  // items whose bodies are under their uploads' names, by upload
	aside   []inspect.FileInfo // bodies to be moved to the quarantine
	flipped []flippedBody
	large   Use // all bodies

	noRepair bool // a file is of another format or cannot be read
}

// flippedBody is a body with flipped bits.
type flippedBody struct {
	file  inspect.FileInfo
	flips []inspect.BodyFlip
}

// consumer is what one consumer has taken, according to its files.
type consumer struct {
	state *inspect.Offsets // nil until something is known
	name  string
	files []inspect.FileInfo

	rewrite    bool // a repair rewrites the files
	keep       bool // a repair copies the files to the quarantine first
	unverified bool // nothing in the file verifies
	blank      bool // the file never said anything: the log forgets a consumer that has a name

	cached struct { // the run of items that has looked up last
		from, last uint64
		taken      bool
	}
}

// has is state.Has, and faster for numbers that mostly rise.
func (c *consumer) has(seq uint64) bool {
	if r := &c.cached; seq < r.from || seq > r.last {
		r.from = seq
		r.taken, r.last = c.state.Run(seq)
	}
	return c.cached.taken
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
	if err := e.in.CheckVersion(); err != nil {
		e.otherFormat(filepath.Base(err.Path), err)
		return e
	}
	e.bodies = e.in.Files(inspect.BodyFile)
	e.readOffsets()
	e.openSegments()
	e.beginConsumers()
	e.walk()
	e.lastSealed()
	e.planSealing()
	e.planSuperseded()
	e.checkEnd()
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

// trouble reports a file that cannot be read.
func (e *examination) trouble(file string, err error) {
	e.noRepair = true
	what := "cannot be examined: " + reason(err)
	if errors.Is(err, fs.ErrPermission) {
		what += " (run as the server's user, or as root)"
	}
	e.t.add(Finding{File: file, Severity: Trouble, Kind: Unreadable, What: what})
}

// reason returns an error's text without the path, which the finding has already.
func reason(err error) string {
	if v := (segment.VersionError)(0); errors.As(err, &v) {
		return v.Error()
	}
	if errors.Is(err, segment.ErrVersion) {
		return segment.ErrVersion.Error()
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Op + ": " + p.Err.Error()
	}
	return err.Error()
}

// otherFormat reports a file of another format version.
func (e *examination) otherFormat(file string, err error) {
	e.noRepair = true
	e.t.add(Finding{File: file, Severity: Trouble, Kind: OtherFormat,
		What: reason(err) +
			"; nothing in this queue is touched: use the darner-fsck of the server that wrote it"})
}

// beginConsumers makes a consumer without a known head begin at the oldest item, as the server
// does.
func (e *examination) beginConsumers() {
	e.ownConsumer()
	e.unverifiedOffsets()
	first, below, created := uint64(0), uint64(0), int64(0)
	for _, s := range e.segments {
		if first == 0 && s.inQueue() {
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
			c.state.Unite(known) // known has no head
		}
	}
}

// ownConsumer makes sure that the queue's own consumer is there. A server makes its file before the
// first segment.
func (e *examination) ownConsumer() {
	c := e.consumer("")
	if len(c.files) > 0 || !e.anySegment() {
		return
	}
	c.rewrite = true
	if e.sealedFrom(0) { // the file's name is synced before a segment is sealed
		e.t.damage(inspect.OffsetName(""), OffsetsLost,
			"is missing: all items still on the disk come again, taken or not")
	} else {
		e.t.note(inspect.OffsetName(""), OffsetsLost,
			"is missing, as after a power cut before the first sync: all items on the disk come")
	}
}

// unverifiedOffsets reports offset files in which nothing verifies. They are synced before a
// segment is sealed; until then, a power cut may leave one like this.
func (e *examination) unverifiedOffsets() {
	for _, c := range e.consumers {
		if !c.unverified {
			continue
		}
		f := Finding{File: inspect.OffsetName(c.name), Severity: Damage, Kind: OffsetsLost,
			What: "nothing in it verifies: all items still on the disk come again, taken or not"}
		if !e.sealedFrom(0) && e.durable == 0 {
			f.Severity = Note
		}
		e.t.add(f)
	}
}

// anySegment reports whether there is a segment that held items.
func (e *examination) anySegment() bool {
	for _, s := range e.segments {
		if s.first > 0 && !errors.Is(s.err, segment.ErrBlank) {
			return true
		}
	}
	return false
}

// wanted reports whether an item is still to be taken by some consumer.
func (e *examination) wanted(seq uint64) bool {
	for _, c := range e.consumers {
		if !c.has(seq) {
			return true
		}
	}
	return false
}

// lose counts the wanted items in [from, to] as lost. It returns their number, and the first and
// the last of them.
func (e *examination) lose(from, to uint64) (n, first, last uint64) {
	if from > to {
		return 0, 0, 0
	}
	gap := inspect.NewOffsets("", 0, 0, 0)
	for _, c := range e.consumers {
		if c.blank && c.name != "" && e.durableKnown { // the log keeps nothing for it
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

// aheadOfLog reports that more items were taken, or noted to be delivered, than the log has.
func (e *examination) aheadOfLog() {
	for _, c := range e.consumers {
		end := max(c.state.End(), c.state.LastNoted()+1)
		if end > e.end && len(c.files) > 0 && !e.endsEarly {
			e.t.add(Finding{File: c.files[0].Name, Severity: Note, Kind: OffsetsAhead,
				What: fmt.Sprintf("is ahead of the log by %d numbers, which will not be used "+
					"again: what was there was taken, or is lost, and a power cut or a repair "+
					"took it away", end-e.end)})
		}
	}
}

// leftovers reports files that are not part of the queue.
func (e *examination) leftovers() {
	for _, f := range e.in.Files(inspect.PartFile) {
		if e.claimed[f.Number] == 0 {
			e.t.note(f.Name, Upload, "an upload that broke off; the server removes it")
		}
	}
	for _, f := range e.in.Files(inspect.UnfinishedFile) {
		e.t.note(f.Name, Unfinished,
			"a cold segment that was being written when the server was killed; the server "+
				"removes it")
	}
	for _, f := range e.in.Files(inspect.MendFile) {
		e.t.note(f.Name, Interrupted,
			"left by a repair that was interrupted; the next one removes it")
	}
	for _, f := range e.in.Files(inspect.ForeignFile) {
		e.t.note(f.Name, Foreign, "is no file of a queue; the server ignores it")
	}
	for _, name := range e.in.Nested {
		if name != datadir.QuarantineName {
			e.t.note(name, Foreign, "is a directory of somebody else's and is left alone")
		}
	}
}
