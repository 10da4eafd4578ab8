package wal

// Group commit: who asked for a sync of one log, and what the sync writes in which order.

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/offset"
)

// groupCommit gathers the callers of Sync. Those that come during a sync share the next one.
type groupCommit struct {
	syncing   sync.Mutex // held by a sync, and while offset files are replaced
	replacing sync.Mutex // held while offset files are replaced, or synced alone

	mu      sync.Mutex
	waiting []func(error)
	served  []func(error) // empty: the slice that waiting uses next
	running bool          // the log is in the syncer's list, or is synced
	idle    *sync.Cond    // signalled when running becomes false
}

func (g *groupCommit) init() { g.idle = sync.NewCond(&g.mu) }

// wait returns when no sync runs or is asked for.
func (g *groupCommit) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.running {
		g.idle.Wait()
	}
}

// Sync returns when all that was appended and taken before the call is on stable storage.
// Concurrent callers share one sync. An error is final: see ErrFailed.
func (l *Log) Sync() error {
	done := make(chan error, 1)
	l.SyncThen(func(err error) { done <- err })
	return <-done
}

// SyncThen calls fn once, on another goroutine, when all that was appended and taken before the
// call is on stable storage, or with the error that prevents it. It never blocks; fn must not
// either.
func (l *Log) SyncThen(fn func(error)) {
	g := &l.commit
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, fn)
	if !g.running {
		g.running = true
		l.background.syncs.ask(l)
	}
}

// callers removes and returns the callers that the next sync is for.
func (g *groupCommit) callers() []func(error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	callers := g.waiting
	g.waiting, g.served = g.served[:0], nil
	return callers
}

// notify calls the callers back with the outcome. It reports whether others wait for another sync
// by then.
func (g *groupCommit) notify(callers []func(error), err error) (more bool) {
	for i, fn := range callers {
		fn(err)
		callers[i] = nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.served = callers
	g.running = len(g.waiting) > 0
	if !g.running {
		g.idle.Broadcast()
	}
	return g.running
}

// syncAndNotify syncs for the callers that wait.
func (l *Log) syncAndNotify() {
	callers := l.commit.callers()
	l.notifyCallers(callers, l.syncOnce())
}

func (l *Log) notifyCallers(callers []func(error), err error) {
	if l.commit.notify(callers, err) {
		l.background.syncs.ask(l)
	}
}

// unsynced is what one sync has to write.
type unsynced struct {
	files   []*file // pinned, oldest first
	bodies  []openBody
	offsets []*offset.File
	fault   error // of a write to an offset file
	dir     bool
	names   bool
	newDir  bool
	next    uint64 // all items below are durable afterwards
	shared  bool   // one sync of the file system writes everything
}

func (u *unsynced) any() bool {
	return len(u.files)+len(u.bodies)+len(u.offsets) > 0 || u.dir || u.newDir
}

func (l *Log) syncOnce() error {
	l.commit.syncing.Lock() // offset files are replaced under it
	defer l.commit.syncing.Unlock()
	u, err := l.prepareSync()
	if err != nil {
		return err
	}
	return l.endSync(u, l.flush(u))
}

// begunSync is a log's part of a shared sync. It holds commit.syncing.
type begunSync struct {
	l       *Log
	callers []func(error)
	u       unsynced
}

// beginShared is false if the log has to sync by itself.
func (l *Log) beginShared() (b begunSync, ok bool) {
	// Waiting for one lock while holding others could deadlock.
	if !l.dirty.shares || !l.commit.syncing.TryLock() {
		return b, false
	}
	b = begunSync{l: l, callers: l.commit.callers()}
	var err error
	if b.u, err = l.prepareSync(); err != nil {
		l.commit.syncing.Unlock()
		l.notifyCallers(b.callers, err)
		return begunSync{}, true
	}
	b.u.shared = true
	return b, true
}

// end notifies the callers. If the shared sync failed, it syncs the log's own files first.
func (b begunSync) end(synced bool) {
	l := b.l
	if l == nil { // beginShared failed and notified the callers
		return
	}
	err := b.u.fault // a sync does not repair it
	if !synced {
		err = l.flush(b.u)
	}
	err = l.endSync(b.u, err)
	l.commit.syncing.Unlock()
	l.notifyCallers(b.callers, err)
}

// prepareSync collects what there is to sync. commit.syncing is held from here to endSync.
func (l *Log) prepareSync() (unsynced, error) {
	if err := l.nameStarted(true); err != nil {
		return unsynced{}, l.fail(err)
	}
	l.growOffsets()
	return l.beginSync()
}

// endSync records the outcome.
func (l *Log) endSync(u unsynced, err error) error {
	defer func() {
		l.mu.Lock()
		l.dirty.naming = false
		l.mu.Unlock()
	}()
	for _, f := range u.files {
		l.mu.Lock()
		f.syncs--
		l.mu.Unlock()
		l.release(f)
	}
	if disk.IsTransient(err) {
		l.postpone(u)
		return err
	}
	for _, b := range u.bodies {
		l.closeBody(b)
	}
	if err != nil {
		return l.fail(err)
	}
	if u.any() {
		l.stats.syncs.Add(1)
		l.background.done.Add(1)
		l.noteDurable(u)
	}
	return nil
}

// growOffsets allocates room for the checkpoints of this sync. On a full disk the two slots of the
// head have to do. It holds Log.mu, so that a taker never finds the file without a place to note
// what it takes.
func (l *Log) growOffsets() {
	if l.background.reserve.lent.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		if o := c.off; o != nil && o.LacksCheckpoint() && o.Allocated() < l.rewriteBound() {
			_ = o.Grow()
		}
	}
}

// beginSync marks the log clean and returns what was dirty. Later changes are for the next sync.
func (l *Log) beginSync() (u unsynced, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty.timer.Stop()
	l.background.syncs.markClean(l)
	if err := l.usableLocked(); err != nil {
		return u, err
	}
	l.dirty.any = false
	for _, f := range l.files {
		if f.dirty && f.seg != nil {
			f.dirty = false
			f.pins++
			f.syncs++
			f.seg.BeforeSync()
			u.files = append(u.files, f)
		}
	}
	for _, c := range l.consumers {
		if c.dirty && c.off != nil {
			if c.unsaved { // there may be space by now
				c.off.SetHead(c.st.Head, c.st.Below)
			}
			c.checkpoint()
			c.dirty = c.off.Fault != nil
			if err := c.checkFault(); err != nil {
				u.fault = err
			}
			c.off.BeforeSync()
			u.offsets = append(u.offsets, c.off)
		}
	}
	u.bodies, l.uploads.unsynced = l.uploads.unsynced, nil
	u.dir, u.names = l.dirty.dir, l.dirty.names
	l.dirty.dir, l.dirty.names, l.dirty.naming = false, false, u.names
	u.newDir, l.dirty.newDir = l.dirty.newDir, false
	u.next = l.wholeBelowLocked()
	return u, nil
}

// flush syncs bodies before the records that name them, and segments oldest first, so that a power
// cut loses the newest items.
func (l *Log) flush(u unsynced) error {
	for _, b := range u.bodies {
		if err := b.f.Sync(); err != nil {
			return err
		}
	}
	for _, f := range u.files {
		if err := f.seg.Sync(); err != nil {
			return err
		}
	}
	if u.fault != nil {
		return u.fault
	}
	for _, o := range u.offsets {
		if err := o.Sync(); err != nil {
			return err
		}
	}
	if u.dir {
		if err := l.fs.SyncDir(l.dir); err != nil {
			return err
		}
	}
	if u.newDir {
		return l.fs.SyncDir(filepath.Dir(l.dir))
	}
	return nil
}

// postpone marks as dirty again what a sync did not write.
func (l *Log) postpone(u unsynced) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range u.files {
		f.dirty = true
	}
	for _, c := range l.consumers {
		c.dirty = true
	}
	l.uploads.unsynced = append(u.bodies, l.uploads.unsynced...)
	l.dirty.dir, l.dirty.names = l.dirty.dir || u.dir, l.dirty.names || u.names
	l.dirty.newDir = l.dirty.newDir || u.newDir
	l.touchLocked()
}

// fail makes the log refuse items from now on. After a failed sync the kernel may have dropped the
// data, and a second sync that succeeds would prove nothing. A transient error does not make it
// fail.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failLocked(err)
}

func (l *Log) failLocked(err error) error {
	if l.closed {
		return ErrClosed
	}
	if disk.IsTransient(err) {
		return err
	}
	if l.failed == nil {
		l.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		l.notifyCaughtUpLocked()
		l.requestCleanup() // segments that wait are of no more use
		l.log.Error("log takes no more items; repair the disk and restart",
			"dir", l.dir, "error", err)
	}
	return l.failed
}

// touchLocked notes that something awaits a sync, and has one come within SyncEvery.
func (l *Log) touchLocked() {
	if l.dirty.any {
		return
	}
	l.dirty.any = true
	if l.o.SyncEvery > 0 {
		l.dirty.timer.Reset(l.o.SyncEvery)
		l.background.syncs.markDirty(l)
	}
}
