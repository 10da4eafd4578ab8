package segment

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

// starving is a file system whose files lose their descriptors, and find no others.
type starving struct {
	*disktest.FS
	held, short bool
	writes      int // tried while short
}

type starvingFile struct {
	disk.File
	fs *starving
}

func (s *starving) Create(name string) (disk.File, error) {
	f, err := s.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return starvingFile{f, s}, nil
}

func (f starvingFile) Held() bool { return f.fs.held }

func (f starvingFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.short {
		f.fs.writes++
		return 0, syscall.EMFILE
	}
	return f.File.WriteAt(p, off)
}

func TestASegmentTakesRecordsWithoutADescriptor(t *testing.T) {
	for _, held := range []bool{false, true} { // true: it is lost right after the question
		fsys := &starving{FS: disktest.New(), held: true}
		if err := fsys.Mkdir("d"); err != nil {
			t.Fatal(err)
		}
		s, err := Create(fsys, "d/a", 1<<20)
		if err == nil {
			err = s.Start(Header{First: 1})
		}
		if err == nil {
			err = s.Extend(100_000)
		}
		if err == nil {
			err = s.Sync() // from here on short records are written
		}
		if err != nil {
			t.Fatal(err)
		}
		fsys.held, fsys.short = held, true
		var at []uint32
		payloads := [][]byte{[]byte("short"), bytes.Repeat([]byte("long"), DirectWriteSize), nil}
		for i, p := range payloads {
			off, err := s.Append(&Record{Seq: uint64(i + 1), Kind: KindItem, Payload: p})
			if err != nil {
				t.Fatalf("held %v: record of %d bytes: %v", held, len(p), err)
			}
			at = append(at, off)
		}
		if !held && fsys.writes > 0 {
			t.Errorf("got %d writes to a file without a descriptor, which would open it; want none",
				fsys.writes)
		}
		for i, p := range payloads {
			r, _, err := s.At(at[i])
			if err != nil || !bytes.Equal(r.Payload, p) {
				t.Errorf("held %v: got %d bytes, %v, want %d", held, len(r.Payload), err, len(p))
			}
		}
		if v := fsys.Violations(); len(v) > 0 {
			t.Errorf("got violations %q, want none", v)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
