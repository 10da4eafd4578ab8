package queue

// The janitor empties the trash, writes down that the clock was set, and parks queues that nobody
// uses. While nothing is loaded, nothing wakes it.

import (
	"context"
	"path/filepath"
	"runtime/debug"

	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/datadir"
)

type janitor struct {
	*task
	r     *Registry
	trash chan struct{} // there is something in the trash
	steps chan struct{} // the clock was set
	alarm *clock.Alarm  // for parking; set under Registry.mu, while anything is loaded

	// Registry.tick when idle queues were last looked for, and the time before that. What was not
	// used since the latter is idle.
	last, before uint64
}

func startJanitor(r *Registry) *janitor {
	j := &janitor{
		r: r, trash: make(chan struct{}, 1), steps: make(chan struct{}, 1),
		alarm: clock.NewAlarm(r.clock),
	}
	signal(j.trash) // leftovers of the last run
	j.task = startTask(j.run)
	return j
}

// signal does not block; one signal may stand for several.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

func (j *janitor) run(ctx context.Context) {
	defer j.alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.trash:
			j.emptyTrash(ctx)
		case <-j.steps:
			j.r.saveEras()
		case <-j.alarm.C:
			j.parkIdle(ctx)
		}
	}
}

func (j *janitor) emptyTrash(ctx context.Context) {
	dir := filepath.Join(j.r.dir, datadir.TrashName)
	if err := j.empty(ctx, dir); err != nil {
		j.r.logger.Warn("cannot empty the trash; the next delete or start tries again",
			"dir", dir, "error", err)
	}
}

// empty removes all that is in a directory, file by file, until ctx ends.
func (j *janitor) empty(ctx context.Context, dir string) error {
	entries, err := j.r.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil
		}
		path := filepath.Join(dir, e.Name)
		if e.Dir {
			if err := j.empty(ctx, path); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		if e.Size > truncateStep {
			if err := j.truncate(ctx, path, e.Size); err != nil || ctx.Err() != nil {
				return err
			}
		}
		if err := j.r.fs.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// truncateStep is how many bytes of a file are freed at once. To free gigabytes in one go may hold
// up everybody else who writes to the file system.
const truncateStep = 64 << 20

// truncate shortens a file step by step, until one step is left or ctx ends.
func (j *janitor) truncate(ctx context.Context, path string, size int64) error {
	f, err := j.r.fs.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for size > truncateStep && ctx.Err() == nil {
		size -= truncateStep
		if err := f.Truncate(size); err != nil {
			return err
		}
	}
	return nil
}

// parkIdle parks what was idle for two rounds.
func (j *janitor) parkIdle(ctx context.Context) {
	r := j.r
	before := j.before
	j.before, j.last = j.last, r.tick.Add(1)
	for _, s := range r.loadedStores() {
		if ctx.Err() != nil {
			return
		}
		s.slimIdle(ctx, before)
		s.park(before)
	}
	if !j.rearm() {
		// Nothing may happen for long now, and the collector would not run before something did.
		debug.FreeOSMemory()
	}
}

// rearm sets the alarm again while anything is loaded.
func (j *janitor) rearm() bool {
	j.r.mu.Lock()
	defer j.r.mu.Unlock()
	if len(j.r.loaded) == 0 {
		return false
	}
	j.alarm.Set(idleTime / 2)
	return true
}
