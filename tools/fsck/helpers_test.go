package fsck_test

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/inspect"
)

var update = flag.Bool("update", false, "rewrite the expected reports, and make missing fixtures")

const (
	testdata = "../../testdata/fsck"
	data     = "data"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load copies a fixture into a file system in memory.
func load(t testing.TB, name string) *disktest.FS {
	t.Helper()
	fsys := disktest.New()
	must(t, fsys.WriteFile(data+"/.lock", nil))
	root := filepath.Join(testdata, name)
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root+string(filepath.Separator))
		return fsys.WriteFile(data+"/"+filepath.ToSlash(name), b)
	}))
	return fsys
}

// save stores the queues of a file system as a fixture.
func save(t testing.TB, fsys *disktest.FS, name string) {
	t.Helper()
	for _, queue := range fsys.Names(data) {
		for _, file := range fsys.Names(data + "/" + queue) {
			b, err := fsys.ReadFile(data + "/" + queue + "/" + file)
			must(t, err)
			path := filepath.Join(testdata, name, queue, file)
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, b, 0o644))
		}
	}
}

// run runs fsck, and returns what it prints and its result.
func run(t testing.TB, fsys disk.FS, o fsck.Options) (report string, res fsck.Result) {
	t.Helper()
	var b bytes.Buffer
	o.FS = fsys
	r := fsck.NewReport(&b, &o, func(w io.Writer, rows [][]string) error {
		for _, row := range rows {
			fmt.Fprintln(w, strings.Join(row, "  "))
		}
		return nil
	})
	res, err := fsck.Run(data, o)
	must(t, err)
	must(t, r.Close(res))
	return b.String(), res
}

func repair(t testing.TB, fsys disk.FS) fsck.Result {
	t.Helper()
	_, res := run(t, fsys, fsck.Options{Repair: true})
	return res
}

// served returns a line for each item of a queue that a log delivers. It leaves out items that turn
// out to be damaged when they are read.
func served(t testing.TB, fsys *disktest.FS, queue string) []string {
	t.Helper()
	quarantine := data + "/.quarantine"
	l, err := wal.Open(data+"/"+queue, wal.Options{FS: fsys, SegmentSize: wal.MinSegmentSize,
		Quarantine: quarantine, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer l.Close()
	c, err := l.Consumer("", wal.Oldest)
	must(t, err)
	var got []string
	for {
		p, m, ok, err := c.Next()
		must(t, err)
		if !ok {
			return got
		}
		if b, ok := content(l, p); ok {
			got = append(got, line(p.Seq, m.Flags, m.Enqueued, m.Expires, b))
		}
	}
}

// line describes an item. It has the beginning of the payload, and a checksum.
func line(seq uint64, flags uint32, enqueued, expires int64, payload []byte) string {
	return fmt.Sprintf("%d %d %d %d %.60q %08x", seq, flags, enqueued, expires, payload,
		crc32.Checksum(payload, castagnoli))
}

// readable returns the items that a queue's files hold. For a queue without damage it is the same
// as served, and much faster.
func readable(t testing.TB, fsys *disktest.FS, queue string) []string {
	t.Helper()
	in, err := inspect.Open(fsys, data+"/"+queue)
	must(t, err)
	taken, err := in.Taken("")
	must(t, err)
	var got []string
	files, err := in.InOrder()
	must(t, err)
	for _, f := range files {
		v, err := in.OpenSegment(f)
		must(t, err)
		for step := range v.Steps() {
			must(t, step.Err)
			if r := &step.Record; !taken.Has(r.Seq) {
				b := r.Payload
				if r.Kind == segment.KindLarge {
					b = wholeBody(t, in, r.Seq)
				}
				got = append(got, line(r.Seq, r.ClientFlags, r.Enqueued, r.Expires, b))
			}
		}
		must(t, v.Close())
	}
	return got
}

func wholeBody(t testing.TB, in *inspect.Inspection, seq uint64) []byte {
	t.Helper()
	r, err := in.OpenBody(inspect.FileInfo{Name: inspect.BodyName(seq)})
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return b
}

func content(l *wal.Log, p wal.Position) ([]byte, bool) {
	if !p.Large() {
		b, _, err := l.Read(p, nil)
		return b, err == nil
	}
	r, err := l.Open(p)
	if err != nil {
		return nil, false
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return b, err == nil
}
