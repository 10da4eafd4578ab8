package kestrel

// Going through the operations of all of a queue's files as one sequence.

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
)

// Finding is a place where the reading of a file had to end.
type Finding struct {
	File string // path
	At   int64  // byte of the operation that could not be read
	Lost int64  // bytes from there to the end of the file
	Torn bool   // the last operation of the newest file, cut short by a crash: it never was
	Err  error
}

func (f Finding) String() string {
	if f.Torn {
		return fmt.Sprintf("%s: the operation at byte %d was cut short by a crash and left out", f.File, f.At)
	}
	return fmt.Sprintf("%s: damaged at byte %d, the last %d bytes cannot be read: %v", f.File, f.At, f.Lost, f.Err)
}

// walker reads operations, file by file. One file is open at a time.
type walker struct {
	fs    disk.FS
	paths []string
	i     int // file being read, or to be read next
	file  disk.File
	ops   *decoder
	found []Finding
}

// next returns the next operation, io.EOF behind the last. A damaged file is read as far as it
// goes, and then the next one.
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
		w.note(err)
		if err := w.close(); err != nil {
			return op{}, err
		}
		w.i++
	}
}

// note keeps why a file ended before its end. A crash cuts only the newest file.
func (w *walker) note(err error) {
	if err == io.EOF {
		return
	}
	at := w.ops.at
	torn := errors.Is(err, errTorn) && w.i == len(w.paths)-1
	w.found = append(w.found, Finding{File: w.paths[w.i], At: at, Lost: w.ops.size - at, Torn: torn, Err: err})
}

// damaged reports whether anything that once was in the journal is not.
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
