package wal_test

// Logs that were written by another machine: other byte order, other word size, other pages.
//
// testdata/log was written by linux/amd64 and is read wherever the tests run. To take one from a
// machine to another, as .ci/emulated does:
//
//	wal.test -test.run Elsewhere -write-log DIR    there
//	wal.test -test.run Elsewhere -read-log DIR     here

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/darner/darner/wal"
)

var (
	writeLog = flag.String("write-log", "", "leave a log for another machine in this `DIRECTORY`")
	readLog  = flag.String("read-log", "",
		"read the log that another machine left in this `DIRECTORY`")
)

const (
	foreignItems = 36
	foreignLarge = 10 // the item with a body of its own
)

// foreignItem is the i-th item, counting from 0.
func foreignItem(i int) (payload []byte, m wal.Meta) {
	size := 5000 + i
	if i == foreignLarge {
		size = 70_000 // two chunks
	}
	payload = bytes.Repeat(fmt.Appendf(nil, "item %d ", i), size)[:size]
	return payload, wal.Meta{Flags: 0xfedcba98 + uint32(i), Enqueued: 1_700_000_000_000 + int64(i),
		Expires: 1<<40 + int64(i)}
}

// foreignTaken is what each consumer has taken: a head, and ranges above it.
var foreignTaken = map[string][]int{"": {0, 1, 2, 5, 6, foreignItems - 2},
	"audit": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20}}

func TestALogIsLeftForElsewhere(t *testing.T) {
	if *writeLog == "" {
		t.Skip("no -write-log")
	}
	dir := filepath.Join(t.TempDir(), "q")
	l := open(t, dir, wal.Options{})
	for name := range foreignTaken {
		if _, err := l.Consumer(name, wal.Oldest); err != nil {
			t.Fatal(err)
		}
	}
	var places []wal.Position
	for i := range foreignItems {
		p, err := store(l, i)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, p)
	}
	for name, taken := range foreignTaken {
		c, err := l.Consumer(name, wal.Oldest)
		for _, i := range taken {
			err = errors.Join(err, c.Take(places[i]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	settle(l)
	if n := l.Stats().Segments; n < 3 {
		t.Fatalf("got %d segments, want sealed ones and an active one", n)
	}
	if err := os.CopyFS(*writeLog, os.DirFS(dir)); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
}

func store(l *wal.Log, i int) (p wal.Position, err error) {
	b, m := foreignItem(i)
	if i != foreignLarge {
		return l.Append(b, m)
	}
	u, err := l.BeginLarge(int64(len(b)), m)
	if err != nil {
		return p, err
	}
	if _, err := u.Write(b); err != nil {
		return p, err
	}
	return u.Commit()
}

func TestALogFromElsewhereIsReadAndWrittenTo(t *testing.T) {
	dirs := []string{"testdata/log"}
	if *readLog != "" {
		dirs = append(dirs, *readLog)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			own := filepath.Join(t.TempDir(), "q")
			if err := os.CopyFS(own, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			l := open(t, own, wal.Options{})
			for name := range foreignTaken {
				c, err := l.Consumer(name, wal.Oldest)
				if err != nil {
					t.Fatal(err)
				}
				if items, _ := c.Pending(); items != int64(foreignItems-len(foreignTaken[name])) {
					t.Errorf("consumer %q: got %d items pending", name, items)
				}
				takeForeign(t, l, c, foreignTaken[name])
			}
			if s := l.Stats(); s.Damaged != 0 || s.Appended != foreignItems {
				t.Errorf("got stats %+v, want nothing damaged and all items", s)
			}
			put(t, l, "one more")
			if p, got := next(t, l, consumer(t, l)); got != "one more" || p.Seq != foreignItems+1 {
				t.Errorf("got item %d as %q, want the one appended last", p.Seq, got)
			}
			settle(l)
			if left := names(t, own); strings.Contains(left, "0001.seg") ||
				strings.Contains(left, ".item") {
				t.Errorf("got %s, want nothing that all consumers have taken", left)
			}
		})
	}
}

// takeForeign takes what c has not taken, which must come whole and in order.
func takeForeign(t *testing.T, l *wal.Log, c *wal.Consumer, taken []int) {
	t.Helper()
	gone := map[int]bool{}
	for _, i := range taken {
		gone[i] = true
	}
	for i := range foreignItems {
		if gone[i] {
			continue
		}
		p, m, ok, err := c.Next()
		if err != nil || !ok || p.Seq != uint64(i+1) || p.Large() != (i == foreignLarge) {
			t.Fatalf("want item %d, got %+v, %v, %v", i+1, p, ok, err)
		}
		want, wantMeta := foreignItem(i)
		b, err := readAny(l, p)
		if err != nil || !bytes.Equal(b, want) {
			t.Fatalf("item %d: got %.20q, %v", p.Seq, b, err)
		}
		if m != wantMeta || p.Flags != wantMeta.Flags {
			t.Fatalf("item %d: got %+v", p.Seq, m)
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}
