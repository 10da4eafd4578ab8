package kestrel

// Reading the operations of all files of a queue as one sequence.

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
)

// Finding is a range of a file that could not be read.
type Finding struct {
	File string // path
	At   int64  // offset of the operation that could not be read
	Lost int64  // bytes from At to where reading continued, or to the end of the file
	Torn bool   // a crash cut the last operation of the newest file short, so it does not count
	Err  error
}

func (f Finding) String() string {
	if f.Torn {
		return fmt.Sprintf("%s: the operation at byte %d was cut short by a crash and left out, "+
			"%d bytes", f.File, f.At, f.Lost)
	}
	return fmt.Sprintf("%s: damaged, bytes %d to %d cannot be read: %v", f.File, f.At,
		f.At+f.Lost-1, f.Err)
}

// walker reads operations, file by file, with one file open at a time.
type walker struct {
	fs    disk.FS
	paths []string
	i     int // index of the file that is read now or next
	file  disk.File
	ops   *decoder
	found []Finding
}

// next returns the next operation, or io.EOF after the last one. After damage it continues in the
// same file if it can, else in the next file.
func (w *walker) next() (op, error) {
	for {
		if w.ops == nil {
			if w.i == len(w.paths) {
				return op{}, io.EOF
			}
			if err := w.open(); err != nil {
				return op{}, err
			}
		}
		o, err := w.ops.next()
		if err == nil {
			o.item.file = w.i
			return o, nil
		}
		if err != io.EOF && !errors.Is(err, errTorn) && !errors.Is(err, errDamaged) {
			return op{}, err
		}
		found, err := w.note(err)
		if err != nil {
			return op{}, err
		}
		if found {
			continue
		}
		if err := w.close(); err != nil {
			return op{}, err
		}
		w.i++
	}
}

// note records why an operation cannot be read, and looks for a later place where reading can
// continue. Only without one is the last operation of the newest file torn: a damaged size also
// claims too many bytes, but whole operations follow it.
func (w *walker) note(why error) (found bool, err error) {
	if why == io.EOF {
		return false, nil
	}
	from := w.ops.at
	if found, err = w.ops.resync(); err != nil {
		return false, err
	}
	f := Finding{File: w.paths[w.i], At: from, Lost: w.ops.size - from, Err: why}
	if found {
		f.Lost = w.ops.at - from
	} else {
		f.Torn = errors.Is(why, errTorn) && w.i == len(w.paths)-1
	}
	if errors.Is(why, errTorn) && !f.Torn {
		f.Err = errBeyond
	}
	w.found = append(w.found, f)
	return found, nil
}

// damaged reports whether a part of the journal is lost.
func (w *walker) damaged() bool {
	return len(w.found) > 0 && !w.found[0].Torn
}

func (w *walker) open() error {
	f, err := w.fs.OpenRead(w.paths[w.i])
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.ops = f, newDecoder(io.NewSectionReader(f, 0, size), size)
	return nil
}

func (w *walker) close() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file, w.ops = nil, nil
	return err
}

func paths(dir string, files []string) (paths []string) {
	for _, f := range files {
		paths = append(paths, filepath.Join(dir, f))
	}
	return paths
}
