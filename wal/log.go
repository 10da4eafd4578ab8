package wal

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/offset"
)

// Log is one queue's log. All methods may be called from any goroutine.
//
// Locks, in the order they are taken: compaction.working, cleaning, preparing, commit.syncing,
// spare.naming, mu. mu is held for nanoseconds and never during a wait for the disk: what the
// background did not prepare in time is prepared without mu, see ready.go. Functions that need mu
// held end in Locked. Methods of types whose comments say that Log.mu guards them need it too.
type Log struct {
	dir        string
	id         uint64 // its identity: see identity.go
	fs         disk.FS
	o          Options
	log        *slog.Logger
	background *Background // that of Options, or one of its own
	lock       io.Closer   // on its directory; nil: none. Open sets it; who closes the log ends it

	compaction compactor
	cleaning   struct {
		chore             // cleanup
		rewriteAhead bool // it has yet to look for files to rewrite. Log.mu guards it
	}
	preparing struct {
		chore      // prepare
		pace  pace // guarded by it
	}
	commit groupCommit
	lent   atomic.Int64 // loans of maps
	stats  struct{ syncs, reused, rewrites, compactions, damaged, mended, told atomic.Uint64 }

	mu        sync.Mutex
	files     []*file // in order; the last takes appends unless it is sealed
	spare     spare
	rolls     rolls
	next      uint64 // sequence number of the next item
	durable   uint64 // a sync has brought all items below to stable storage
	total     totals
	created   int64 // Unix ms
	consumers map[string]*Consumer
	uploads   uploads
	slow      clock.Timer // fires when uploads into rolled segments are slow: see upload.go
	aside     aside
	missing   missing
	dirty     dirt
	idle      idleness
	room      room
	backlog   backlog
	failed    error // why the log takes no more items; nil if it does
	deleting  bool  // removeTaken is at work
	closed    bool
}

// totals sums up what was appended since the log was created. Log.mu guards it.
type totals struct {
	items, bytes uint64
	due          int64 // the latest due time, Unix ms; 0: no item had one
	expiring     bool  // some item expires
}

// chore is work that the background does on a log, one job at a time. Close locks it as well.
type chore struct {
	sync.Mutex
	asked atomic.Bool // the job waits in the background's lane
}

// spare is the segment for the next roll. Log.mu guards it.
type spare struct {
	file    *file      // blank; nil if there is none
	waiting []*file    // segments that wait to be used after it, the last one first
	made    uint64     // number of the latest spare
	naming  sync.Mutex // held while started spares are renamed
}

// aside is what the background has yet to set aside. Log.mu guards it.
type aside struct {
	copying sync.Mutex // held by setAside: what it took is copied before others delete the files
	damage  []damage   // found by readers
	foreign []*file    // segments of another log
}

// missing is what the log lacked when it was opened. Log.mu guards it.
type missing struct {
	endedAt         uint64        // where it ends, if that is before what was durable; else 0
	unreadableBelow uint64        // numbers below it may have been used in a segment that is lost
	spans           []offset.Span // numbers without an item
}

// dirt is what awaits a sync. Log.mu guards it.
type dirt struct {
	any    bool        // something changed since the last sync began
	dir    bool        // names in the directory changed since it was synced
	names  bool        // so did those of offset files
	naming bool        // a sync is under way that makes names of offset files durable
	newDir bool        // the directory is not durable in its parent
	timer  clock.Timer // fires SyncEvery after the log became dirty
	place  int         // in syncer.dirty, from 1; 0 if not there. syncer.mu guards it
	shares bool        // it may share a sync of the file system
}

// Stats is a log's state at one moment.
type Stats struct {
	Appended  uint64 // items since the log was created
	Segments  int
	DiskBytes int64 // size of all its files

	// Damaged counts what was found since the log was opened: records and entries of offset files
	// that are lost, and files of other logs.
	Damaged uint64

	Mended uint64 // places found since then with a flipped bit, which cost nothing

	Syncs       uint64 // since it was opened
	Reused      uint64 // segments since it was opened whose files held others before
	Rewrites    uint64 // offset files rewritten since it was opened
	Compactions uint64 // segments rewritten since it was opened
	CreatedUnix int64  // ms
}

// noteLost counts damage.
func (l *Log) noteLost(n uint64) {
	l.stats.damaged.Add(n)
	if l.o.Lost != nil {
		l.o.Lost(n)
	}
}

// noteMended counts places with a flipped bit. They cost nothing.
func (l *Log) noteMended(n uint64) { l.stats.mended.Add(n) }

// Stats returns the log's figures.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{
		Appended:    l.total.items,
		Segments:    len(l.files),
		DiskBytes:   l.diskBytesLocked(),
		Damaged:     l.stats.damaged.Load(),
		Mended:      l.stats.mended.Load(),
		Syncs:       l.stats.syncs.Load(),
		Reused:      l.stats.reused.Load(),
		Rewrites:    l.stats.rewrites.Load(),
		Compactions: l.stats.compactions.Load(),
		CreatedUnix: l.created,
	}
	return s
}

// diskBytesLocked is the size of all files.
func (l *Log) diskBytesLocked() int64 {
	n := l.uploads.bytes
	for _, f := range l.files {
		n += f.bytesLocked()
	}
	if l.spare.file != nil {
		n += l.spare.file.bytesLocked()
	}
	for _, f := range l.spare.waiting {
		n += f.bytesLocked()
	}
	for _, c := range l.consumers {
		if c.off != nil {
			n += int64(c.off.Allocated())
		}
	}
	return n
}

// Err says why the log takes no more items: an ErrFailed or ErrClosed. It is nil while all is well.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.usableLocked()
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *Log) usableLocked() error {
	if l.closed {
		return ErrClosed
	}
	return l.failed
}

// Close syncs, frees blocks allocated ahead and closes the files. Positions, Writers and readers of
// the log are useless afterwards. An error is that of the sync: see ErrFailed.
func (l *Log) Close() error {
	l.stopTimers()
	l.mu.Lock()
	l.rolls = rolls{}
	l.mu.Unlock()
	l.shrink(l.usedUpLocked) // an empty log keeps one block at most
	l.cleanup()
	syncErr := l.Sync()
	if !l.markClosed() {
		return nil
	}
	defer l.unlock()
	if errors.Is(syncErr, ErrClosed) {
		syncErr = nil
	}
	if err := l.closeFiles(true); err != nil && !disk.IsTransient(err) { // everything is synced
		l.log.Warn("cannot close a log", "error", err)
	}
	return syncErr
}

// Abandon closes without syncing, for a directory that is about to be deleted. It waits for the
// background's step under way, which does not depend on the size of the log. Afterwards the log
// touches no name in the directory, so another log may take its place. Its files are closed in the
// background.
func (l *Log) Abandon() {
	l.stopTimers()
	if !l.markClosed() {
		return
	}
	l.quiesce()
	defer l.unlock()
	if l.ownsBackground() {
		l.closeFiles(false)
		return
	}
	l.background.cleanupLane.push(func() { l.closeFiles(false) })
}

// ownsBackground reports whether the background was started for this log alone.
func (l *Log) ownsBackground() bool { return l.o.Background == nil }

func (l *Log) stopTimers() {
	l.dirty.timer.Stop()
	l.compaction.timer.Stop()
	l.idle.timer.Stop()
	l.slow.Stop()
}

// markClosed lets nothing new begin. It is false if somebody did so before.
func (l *Log) markClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.closed
	l.closed = true
	l.background.syncs.markClean(l)
	l.notifyCaughtUpLocked()
	l.room.waiting.notify()
	for _, c := range l.consumers {
		c.reading.waiting.notify()
	}
	return !was
}

// quiesce waits until nobody works on a log that is marked closed.
func (l *Log) quiesce() {
	l.commit.wait()
	work := []*sync.Mutex{&l.compaction.working, &l.cleaning.Mutex, &l.preparing.Mutex}
	for _, busy := range work {
		busy.Lock()
		busy.Unlock() //lint:ignore SA2001 whoever comes later finds the log closed
	}
}

// closeFiles waits for all work on the files, then closes them.
func (l *Log) closeFiles(trim bool) error {
	l.quiesce()
	if l.ownsBackground() {
		l.background.Close()
	}
	l.cleaning.Lock()
	defer l.cleaning.Unlock()
	l.preparing.Lock()
	defer l.preparing.Unlock()
	l.mu.Lock()
	waiting := l.takeReusedLocked(0)
	files, spare, bodies := l.files, l.spare.file, l.uploads.unsynced
	l.files, l.spare.file, l.uploads.unsynced = nil, nil, nil
	for _, f := range slices.Concat(files, waiting) {
		f.gone = f.pins > 0 // the last to unpin it closes it
	}
	l.mu.Unlock()

	var errs []error
	for _, f := range waiting {
		l.background.reuse.end(l, l.o.SegmentSize)
		if !f.gone {
			errs = append(errs, f.seg.Close())
		}
		if trim {
			errs = append(errs, l.fs.Remove(f.path))
		}
	}
	if spare != nil {
		errs = append(errs, spare.seg.Close())
		if trim {
			errs = append(errs, l.fs.Remove(spare.path))
		}
	}
	for _, b := range bodies {
		l.closeBody(b)
	}
	for _, f := range files {
		if f.seg == nil || f.gone {
			continue
		}
		if trim && !f.sealed && l.failed == nil {
			errs = append(errs, f.seg.Trim())
		}
		errs = append(errs, f.seg.Close())
	}
	for _, c := range l.consumers {
		errs = append(errs, c.close(trim))
	}
	return errors.Join(errs...)
}

// now is the time of day in Unix ms.
func (l *Log) now() int64 { return clock.UnixMilli(l.o.Clock) }

// steady is the steady time: see clock.Clock.
func (l *Log) steady() time.Duration { return clock.Steady(l.o.Clock) }

func (l *Log) name() string { return filepath.Base(l.dir) }

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }
