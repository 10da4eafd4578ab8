package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// damage is a range of a file without a valid record where there should be one.
type damage struct {
	f        *file
	from, to uint32
	bytes    []byte // nil if they are still in the file
}

// noteDamageLocked has the damage set aside that was found when a segment was opened.
func (l *Log) noteDamageLocked(f *file, found []segment.Damage) {
	for _, d := range found {
		if d.Tail && (d.Unfinished || d.Meta) { // a kill interrupted an append or sealing
			continue
		}
		l.addDamageLocked(damage{f, d.From, d.To, d.Bytes})
	}
}

func (l *Log) addDamageLocked(d damage) {
	d.f.damaged = true
	l.aside.damage = append(l.aside.damage, d)
	l.requestCleanup()
}

// mostTold is how many lines about damaged places a log writes for all to see. A disk that goes bad
// has thousands of them; they are counted, and their copies are named after them.
const mostTold = 16

// tellDamage logs what was found at one place.
func (l *Log) tellDamage(level slog.Level, text string, attrs ...any) {
	switch told := l.stats.told.Add(1); {
	case told > mostTold:
		level = slog.LevelDebug
	case told == mostTold:
		attrs = append(attrs, "more", "is logged at level debug")
	}
	l.log.Log(context.Background(), level, text, attrs...)
}

// pageSize is the step over pages that cannot be read. If real pages are larger, it takes more
// steps.
const pageSize = 4096

// endOfDamage returns the offset of the first valid record after a damaged one in a pinned segment,
// or the segment's tail. It takes very long if the segment is full of bytes that look like records,
// so it yields to other goroutines.
func (l *Log) endOfDamage(f *file, off uint32) uint32 {
	const slice = 1 << 20 // bytes searched at a time, in about 0.2 ms
	tail := f.seg.Tail()
	for from := off + segment.Align; from < tail && !l.isClosed(); runtime.Gosched() {
		next, found, err := f.seg.ResyncSome(from, slice)
		switch {
		case found:
			return next
		case err == nil:
			from = next
		case errors.Is(err, segment.ErrFault):
			from = (from/pageSize + 1) * pageSize
		default:
			return tail
		}
	}
	return tail
}

// setAside copies damaged ranges into the quarantine, before their segments may be deleted.
func (l *Log) setAside() {
	l.aside.copying.Lock()
	defer l.aside.copying.Unlock()
	l.mu.Lock()
	found := l.aside.damage
	l.aside.damage = nil
	l.mu.Unlock()
	for _, d := range found {
		if l.isClosed() {
			return
		}
		l.mu.Lock()
		path := d.f.path
		l.mu.Unlock()
		to, err := l.quarantine(d, path)
		if err != nil {
			l.log.Error("cannot set damaged bytes aside",
				"file", path, "from", d.from, "to", d.to, "error", err)
			continue
		}
		l.tellDamage(slog.LevelWarn, "damaged bytes set aside",
			"file", path, "from", d.from, "to", d.to, "copy", to)
	}
}

// quarantine copies a range into a file named after its origin: <queue>/<file>@<from>-<to>. A range
// that is there already is not copied again.
func (l *Log) quarantine(d damage, path string) (string, error) {
	dir := filepath.Join(l.o.Quarantine, l.name())
	to := filepath.Join(dir, fmt.Sprintf("%s@%d-%d", filepath.Base(path), d.from, d.to))
	if err := disk.MakeDir(l.fs, dir); err != nil {
		return to, err
	}
	out, err := l.fs.Create(to)
	if isExist(err) {
		return to, nil
	}
	if err != nil {
		return to, err
	}
	defer out.Close()
	if d.bytes != nil {
		_, err = out.WriteAt(d.bytes, 0)
		err = errors.Join(err, out.Sync())
	} else {
		err = l.copyRange(out, path, d)
	}
	return to, errors.Join(err, l.fs.SyncDir(dir))
}

// copyRange copies what can be read. A page that cannot be read is zeros in the copy.
func (l *Log) copyRange(out disk.File, path string, d damage) error {
	in, err := l.fs.OpenRead(path)
	if err != nil {
		return err
	}
	defer in.Close()
	buf := make([]byte, 64<<10)
	for at := int64(d.from); at < int64(d.to); {
		n, err := in.ReadAt(buf[:min(int64(len(buf)), int64(d.to)-at)], at)
		if n > 0 {
			if _, err := out.WriteAt(buf[:n], at-int64(d.from)); err != nil {
				return err
			}
		}
		if n == 0 && err != nil {
			n = min(pageSize, int(int64(d.to)-at))
		}
		at += int64(n)
	}
	return out.Sync()
}

// moveAside moves a whole file out of the log. If a full disk has no space for the quarantine, the
// file stays in the log's directory under a name that the log ignores.
func (l *Log) moveAside(path string) (string, error) {
	dir := filepath.Join(l.o.Quarantine, l.name())
	if err := disk.MakeDir(l.fs, dir); disk.IsFull(err) {
		dir = l.dir
	} else if err != nil {
		return dir, err
	}
	day, _ := l.o.Clock.Now()
	to := l.unused(filepath.Join(dir, filepath.Base(path)), day.UnixNano())
	if err := l.fs.Rename(path, to); err != nil {
		return to, err
	}
	return to, errors.Join(l.fs.SyncDir(dir), l.fs.SyncDir(l.dir))
}

// unused returns the first name path@n, counting from a number, that no file has: the time of day
// may have been set back.
func (l *Log) unused(path string, n int64) string {
	for ; ; n++ {
		name := fmt.Sprintf("%s@%d", path, n)
		if _, err := l.fs.Allocated(name); err != nil {
			return name
		}
	}
}
