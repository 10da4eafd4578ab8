package kestrel

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk"
)

var update = flag.Bool("update", false, "rewrite testdata/kestrel")

const fixtures = "../../testdata/kestrel"

// when is a time of the fixtures, in Unix ms.
const when = 1_300_000_000_000

// directories lists directories of a Kestrel: their files, and what their queues hold.
var directories = map[string]struct {
	files map[string]file
	want  string
}{
	"plain": {
		map[string]file{"cars": file{}.add("old style", 0).add("old style, expires", 1_300_000_100).
			addX("one", when, 0).addX("", when+1, 0).addX("two", when+2, when+5000).remove()},
		"cars 0\n old style, expires/0/1300000100000\n one/1300000000000/0\n" +
			" /1300000000001/0\n two/1300000000002/1300000005000\n",
	},
	"open": { // b and d are open at the end; a and then c were returned
		map[string]file{"cars": file{}.addX("a", when, 0).addX("b", when, 0).addX("c", when, 0).
			addX("d", when, 0).addX("e", when, 0).addX("f", when, 0).
			open().open().open().open().open().
			unremove(1).unremove(3).confirm(5).unremove(99).confirm(98)},
		"cars 2\n b/1300000000000/0\n d/1300000000000/0\n c/1300000000000/0\n" +
			" a/1300000000000/0\n f/1300000000000/0\n",
	},
	"open-by-id": { // written by release 2.2 and later: ids start again from 1 after a restart
		map[string]file{"cars": file{}.addX("a", when, 0).addX("b", when, 0).addX("c", when, 0).
			openID(2).openID(1).unremove(1).unremove(2).openID(1).resume(1, "a again", when+9, 0).
			openID(2)},
		"cars 1\n b/1300000000000/0\n c/1300000000000/0\n a again/1300000000009/0\n",
	},
	"rotated": {
		map[string]file{
			"cars.1300000000001":  file{}.addX("a", when, 0).addX("b", when, 0).open(),
			"cars.1300000000002":  file{}.addX("c", when, 0).remove().confirm(1),
			"cars.130000000000":   file{}.addX("before a", when, 0).remove(),
			"cars":                file{}.addX("d", when, 0),
			"cars~~1300000000003": file{}.addX("temporary", when, 0),
		},
		"cars 0\n c/1300000000000/0\n d/1300000000000/0\n",
	},
	"packed": { // the pack replaces .1 and .2; it begins with the open items
		map[string]file{
			"cars.1":      file{}.addX("gone", when, 0).addX("a", when, 0),
			"cars.2":      file{}.remove().open().addX("b", when, 0),
			"cars.2.pack": file{}.addID(7, "a", when, 0).open().saveID(8).addX("b", when, 0),
			"cars.3":      file{}.open().unremove(7),
			"cars":        file{}.addX("c", when, 0),
		},
		"cars 1\n b/1300000000000/0\n a/1300000000000/0\n c/1300000000000/0\n",
	},
	"checkpoint": { // a rotated file ends with the open items
		map[string]file{
			"cars.1": file{}.addX("a", when, 0).addX("b", when, 0).addX("c", when, 0).open().open().
				dump(2, 2).addID(1, "a", when, 0).addID(2, "b", when, 0),
			"cars.2": file{}.confirm(1).dump(2, 1).addID(2, "b", when, 0).open(),
			"cars.3": file{}.dump(2, 0),
			"cars":   file{}.open(),
		},
		"cars 2\n b/1300000000000/0\n c/1300000000000/0\n",
	},
	"torn": {
		map[string]file{"cars": file{}.addX("a", when, 0).remove().addX("b", when, 0).
			addX("never whole", when, 0)[:60]},
		"cars 0 1\n b/1300000000000/0\n",
	},
	"damaged": { // what was removed after the damage cannot be known
		map[string]file{
			"cars.1": file{}.addX("a", when, 0).addX("b", when, 0).remove().code(77).
				addX("c", when, 0),
			"cars": file{}.remove().remove().addX("d", when, 0).open(),
		},
		"cars 0 1\n b/1300000000000/0\n c/1300000000000/0\n d/1300000000000/0\n",
	},
	"many": {
		map[string]file{
			"cars":       file{}.addX("a", when, 0),
			"cars+audit": file{}.addX("a", when, 0).addX("b", when, 0),
			"boats":      {},
			"notes.txt":  file{}.bytes("not a journal"),
		},
		"boats 0\ncars 0\n a/1300000000000/0\n" +
			"cars+audit 0\n a/1300000000000/0\n b/1300000000000/0\nforeign notes.txt\n",
	},
}

// read writes down what all queues of a directory hold: the name, the number of open items and of
// findings, if any; then each item's payload, time and expiry.
func read(t *testing.T, fsys disk.FS, dir string) string {
	t.Helper()
	queues, foreign, err := Queues(fsys, dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, q := range queues {
		c, err := Replay(fsys, dir, q)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(&b, q.Name, " ", c.Open)
		if len(c.Findings) > 0 {
			fmt.Fprint(&b, " ", len(c.Findings))
		}
		b.WriteByte('\n')
		var n, bytes int64
		err = c.Each(func(i Item) error {
			payload, err := io.ReadAll(i.Body)
			fmt.Fprintf(&b, " %s/%d/%d\n", payload, i.Added, i.Expires)
			n++
			bytes += i.Size
			if int64(len(payload)) != i.Size {
				t.Errorf("%q: got size %d, want %d", payload, i.Size, len(payload))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n != c.Items || bytes != c.Bytes {
			t.Errorf("%s: got %d items and %d bytes, want %d and %d", q.Name, c.Items,
				c.Bytes, n, bytes)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, f := range foreign {
		fmt.Fprintf(&b, "foreign %s\n", f)
	}
	return b.String()
}

func TestJournalsGiveBackWhatTheirQueuesHeld(t *testing.T) {
	for name, d := range directories {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(fixtures, name)
			if *update {
				write(t, dir, d.files)
			}
			if got := read(t, disk.OS{}, dir); got != d.want {
				t.Errorf("got\n%s\nwant\n%s", got, d.want)
			}
		})
	}
}

// write writes a fixture.
func write(t *testing.T, dir string, files map[string]file) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, f := range files {
		if err := os.WriteFile(filepath.Join(dir, name), f, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFixturesAreWhatTheEncoderWrites(t *testing.T) {
	for name, d := range directories {
		dir := filepath.Join(fixtures, name)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
			if got, err := os.ReadFile(filepath.Join(dir, e.Name())); err != nil ||
				string(got) != string(d.files[e.Name()]) {
				t.Errorf("%s/%s: got %d bytes, %v; want %d", name, e.Name(), len(got), err,
					len(d.files[e.Name()]))
			}
		}
		if want := slices.Sorted(maps.Keys(d.files)); !slices.Equal(names, want) {
			t.Errorf("%s: got files %v, want %v", name, names, want)
		}
	}
}

func TestFindingsSayWhere(t *testing.T) {
	for name, want := range map[string]string{
		"torn":    "cars: the operation at byte 45 was cut short by a crash and left out, 15 bytes",
		"damaged": "cars.1: damaged, bytes 45 to 45 cannot be read: no operation begins with byte 77",
	} {
		queues, _, err := Queues(disk.OS{}, filepath.Join(fixtures, name))
		if err != nil {
			t.Fatal(err)
		}
		c, err := Replay(disk.OS{}, filepath.Join(fixtures, name), queues[0])
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := c.Findings[0].String(); !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
