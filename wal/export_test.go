package wal

import (
	"errors"
	"runtime"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
)

// ShareFrom is how many logs have to want a sync to have one together.
func ShareFrom(b *Background, logs int) { b.syncs.shareFrom = logs }

// RewriteOffsets rewrites the offset files of all consumers.
func RewriteOffsets(l *Log) error {
	l.mu.Lock()
	var due []*Consumer
	for _, c := range l.consumers {
		if c.off != nil {
			due = append(due, c)
		}
	}
	l.mu.Unlock()
	var errs []error
	for _, c := range due {
		if err := c.rewrite(l.rewriteBound()); err != nil && !disk.IsFull(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// BackgroundOf returns what does a log's slow work, and ClockOf what its timers go by.
func BackgroundOf(l *Log) *Background { return l.background }

func ClockOf(l *Log) clock.Clock { return l.o.Clock }

// PrepareAndCleanup does the background's work on a log in the caller's goroutine, asked for or
// not.
func PrepareAndCleanup(l *Log) {
	l.prepare()
	l.cleanup()
}

func Cleanup(l *Log) { l.cleanup() }

// Compact does all that there is to be compacted, in the caller's goroutine, as if no reader had
// moved for a while.
func Compact(l *Log) {
	for {
		l.compaction.assumeAtRest()
		if !l.compaction.once() {
			return
		}
	}
}

// ShrinkIdle does what happens when a log has been empty for a while.
func ShrinkIdle(l *Log) {
	l.mu.Lock()
	l.idle.expired = true
	l.mu.Unlock()
	l.cleanup()
	l.compaction.working.Lock() // it may have had hold of a file
	l.cleanup()
	l.compaction.working.Unlock()
}

// WithOffsetCapacity bounds the offset file, for tests that want to see it rewritten.
func WithOffsetCapacity(o Options, bytes int) Options {
	o.offsetCapacity = bytes
	return o
}

// CursorDistance is how many records the cursor has to pass to hand out the next item, itself
// included; 0 when its place has to be looked up.
func CursorDistance(c *Consumer) (n int) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.f == nil {
		return 0
	}
	for at := c.at; at < c.f.seg.Tail(); n++ {
		_, next, err := c.f.seg.At(at)
		if err != nil {
			return -1
		}
		at = next
	}
	return n
}

// HoldSyncs keeps all syncs from beginning until release is called, once a shared one that is under
// way is over.
func HoldSyncs(b *Background) (release func()) {
	b.syncs.mu.Lock()
	for b.syncs.shared {
		b.syncs.mu.Unlock()
		runtime.Gosched()
		b.syncs.mu.Lock()
	}
	b.syncs.shared = true // nobody begins one while many wait
	b.syncs.workers += syncsAtOnce
	b.syncs.mu.Unlock()
	return func() {
		b.syncs.mu.Lock()
		defer b.syncs.mu.Unlock()
		b.syncs.shared = false
		b.syncs.workers -= syncsAtOnce
		b.syncs.startWorkerLocked()
	}
}

// DirtyLogs is how many logs are to be synced in time.
func DirtyLogs(b *Background) int {
	b.syncs.mu.Lock()
	defer b.syncs.mu.Unlock()
	return len(b.syncs.dirty)
}

// AwaitSyncs returns when no sync of a log is under way or asked for.
func AwaitSyncs(l *Log) { l.commit.wait() }

// Unsynced reports whether something awaits a sync.
func (l *Log) Unsynced() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dirty.any
}

// FaultInOffsets has a store into the offset file of the log's own consumer fail.
func FaultInOffsets(l *Log, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.consumers[""]
	c.off.Fault, c.dirty = err, true
}

// AwaitReadPool returns when nothing is left to do of what readers and uploads leave to the
// background.
func AwaitReadPool(l *Log) {
	p := &l.background.readPool
	for busy := true; busy; runtime.Gosched() {
		p.mu.Lock()
		busy = p.running > 0
		p.mu.Unlock()
	}
}

// MoveUploads moves all uploads aside whose segments take no more appends.
func MoveUploads(l *Log) {
	l.mu.Lock()
	for _, f := range l.files {
		f.rolled -= slowAfter
	}
	l.mu.Unlock()
	l.moveSlowUploads()
}
