package queue

// The registry's one goroutine: it empties the trash, and parks queues that nobody uses. While
// nothing is loaded nothing wakes it.

import (
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/darner/darner/wal/datadir"
)

type janitor struct {
	r     *Registry
	trash chan struct{} // there is something in it
	steps chan struct{} // the clock was set
	timer *time.Timer   // set under Registry.mu, while anything is loaded
	quit  chan struct{}
	done  chan struct{}

	// The registry's clock when idle queues were last looked for, and the time before that: what was
	// not used since then is idle.
	last, before uint64
}

func startJanitor(r *Registry) *janitor {
	j := &janitor{
		r: r, trash: make(chan struct{}, 1), steps: make(chan struct{}, 1), timer: time.NewTimer(time.Hour),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	j.timer.Stop()
	signal(j.trash) // leftovers of the last run
	go j.run()
	return j
}

func (j *janitor) wake() { signal(j.trash) }

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

func (j *janitor) stop() {
	close(j.quit)
	<-j.done
	j.timer.Stop()
}

func (j *janitor) stopped() bool {
	select {
	case <-j.quit:
		return true
	default:
		return false
	}
}

func (j *janitor) run() {
	defer close(j.done)
	for {
		select {
		case <-j.quit:
			return
		case <-j.trash:
			j.emptyTrash()
		case <-j.steps:
			j.r.keepSteps()
		case <-j.timer.C:
			j.parkIdle()
		}
	}
}

func (j *janitor) emptyTrash() {
	dir := filepath.Join(j.r.dir, datadir.TrashName)
	if err := j.empty(dir); err != nil {
		j.r.logger.Warn("deleted queues cannot be removed from the disk; the next delete or start tries again", "dir", dir, "error", err)
	}
}

// empty removes all that is in a directory, file by file, so that stopping need not wait for it.
func (j *janitor) empty(dir string) error {
	entries, err := j.r.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if j.stopped() {
			return nil
		}
		path := filepath.Join(dir, e.Name)
		if e.Dir {
			if err := j.empty(path); err != nil {
				return err
			}
			if j.stopped() {
				return nil
			}
		}
		if e.Size > slice {
			if err := j.cut(path, e.Size); err != nil || j.stopped() {
				return err
			}
		}
		if err := j.r.fs.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// slice is how much of a file is given back at once, in bytes: to free gigabytes in one go may hold up
// everybody else who writes to the file system.
const slice = 64 << 20

// cut shortens a file slice by slice.
func (j *janitor) cut(path string, size int64) error {
	f, err := j.r.fs.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for size > slice && !j.stopped() {
		size -= slice
		if err := f.Truncate(size); err != nil {
			return err
		}
	}
	return nil
}

// period is how often idle queues are looked for: what is idle for two of them is parked.
func (r *Registry) period() time.Duration { return max(r.o.Idle/2, time.Millisecond) }

func (j *janitor) parkIdle() {
	r := j.r
	before := j.before
	j.before, j.last = j.last, r.clock.Add(1)
	for _, s := range r.loadedNow() {
		if j.stopped() {
			return
		}
		s.slimIdle(before, j.quit)
		s.park(before)
	}
	if r.goOn() {
		return
	}
	debug.FreeOSMemory() // nothing may happen now for long, and the collector would not run before something did
}

// goOn sets the timer again while anything is loaded.
func (r *Registry) goOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.loaded) == 0 {
		return false
	}
	r.janitor.timer.Reset(r.period())
	return true
}
