package torture

// Disks that fail under the real server. It answers STORED only to items that are. The queue that
// is hit says so, and the process and the other queues go on.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestADiskThatStopsWritingFailsSyncedSetsForGood(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			k.needs(t)
			s := newShelf(t)
			disk := k.make(t, s, k.size)
			m := k.use(t, s, disk)
			d := launch(t, m.dir+"/data", small...)
			c := d.dial()
			var stored []number
			for n := range 40 {
				key := "q"
				if n%4 == 0 {
					key = "q/sync"
				}
				if answer, err := c.set(key, body("q", number{0, n})); answer != "STORED" ||
					err != nil {
					t.Fatalf("got %q, %v; want STORED", answer, err)
				}
				stored = append(stored, number{0, n})
			}
			disk.refusing(func(op string, _, _ int64) error {
				if op == "read" {
					return nil
				}
				return syscall.EIO
			})
			answer, err := c.set("q/sync", body("q", number{0, 40}))
			if err != nil || !strings.HasPrefix(answer, "SERVER_ERROR ") {
				t.Fatalf("a synced set on a disk that fails: got %q, %v; want SERVER_ERROR\n%s",
					answer, err, d.Log)
			}
			if failed := c.figures(t, "q")["failed"]; failed == "no" {
				t.Errorf("got failed %q in the stats, want a reason", failed)
			}
			disk.refusing(nil) // mends nothing, as the kernel has dropped what it could not write
			answer, err = c.set("q/sync", body("q", number{0, 41}))
			if err != nil || !strings.HasPrefix(answer, "SERVER_ERROR ") {
				t.Errorf("a set after a failed sync: got %q, %v; want SERVER_ERROR", answer, err)
			}
			takeSome(t, c, stored) // gets still work
			d.lives()
		})
	}
}

// takeSome takes items. They must be those of want, in order.
func takeSome(t *testing.T, c *client, want []number) {
	t.Helper()
	for _, w := range want {
		b, err := c.get("q/close/open")
		if err != nil || b == nil {
			t.Fatalf("item %v: got %v, %v", w, b, err)
		}
		if i, err := parse("q", b); err != nil || i != w {
			t.Fatalf("got %v, %v; want %v", i, err, w)
		}
	}
}

// A file system turns read-only by itself when it cannot write its journal.
func TestAFileSystemThatTurnsReadOnlyRefusesSetsAndServesTheRest(t *testing.T) {
	k := kindNamed("ext4")
	k.needs(t)
	s := newShelf(t)
	disk := k.make(t, s, k.size)
	k.mount = "errors=remount-ro"
	m := k.use(t, s, disk)
	d := launch(t, m.dir+"/data", small...)
	c := d.dial()
	var stored []number
	for n := range 600 { // enough for some segments
		if answer, err := c.set("q", body("q", number{0, n})); answer != "STORED" || err != nil {
			t.Fatalf("got %q, %v; want STORED", answer, err)
		}
		stored = append(stored, number{0, n})
	}
	if answer, err := c.set("q/sync", body("q", number{0, 600})); answer != "STORED" || err != nil {
		t.Fatalf("got %q, %v; want STORED", answer, err)
	}
	disk.refusing(func(op string, _, _ int64) error {
		if op == "read" {
			return nil
		}
		return syscall.EIO
	})
	until(t, "a read-only file system", func() bool {
		err := os.WriteFile(filepath.Join(m.dir, "x"), nil, 0o600)
		exec.Command("sync", "--file-system", m.dir).Run() // it fails
		return errors.Is(err, unix.EROFS)
	})
	until(t, "a refusal", func() bool {
		answer, err := c.set("q", body("q", number{1, 0}))
		if err != nil {
			t.Fatalf("got %v, want an answer\n%s", err, d.Log)
		}
		return strings.HasPrefix(answer, "SERVER_ERROR ")
	})
	if answer, err := c.set("new", []byte("x")); err != nil ||
		!strings.HasPrefix(answer, "SERVER_ERROR ") {
		t.Errorf("a new queue on a read-only file system: got %q, %v; want SERVER_ERROR",
			answer, err)
	}
	takeSome(t, c, stored)
	d.lives()
}

func TestAFileCutShortFromOutsideIsAnErrorOfItsQueue(t *testing.T) {
	for _, pattern := range []string{"*.seg", "consumer.off"} {
		t.Run(pattern, func(t *testing.T) {
			data := t.TempDir()
			d := launch(t, data, small...)
			c := d.dial()
			for n := range 30 {
				for _, q := range []string{"q", "good"} {
					if answer, err := c.set(q, body(q, number{0, n})); answer != "STORED" ||
						err != nil {
						t.Fatalf("got %q, %v; want STORED", answer, err)
					}
				}
			}
			files, _ := filepath.Glob(filepath.Join(data, "q", pattern))
			for _, f := range files {
				if err := os.Truncate(f, 0); err != nil {
					t.Fatal(err)
				}
			}
			for range 30 {
				if _, err := c.get("q/close/open"); err != nil {
					var answer *answerError
					if !errors.As(err, &answer) ||
						!strings.HasPrefix(answer.answer, "SERVER_ERROR") {
						t.Fatalf("got %v, want SERVER_ERROR\n%s", err, d.Log)
					}
				}
			}
			for n := range 30 {
				answer, err := c.set("q/sync", body("q", number{1, n}))
				if err != nil || !strings.HasPrefix(answer, "SERVER_ERROR ") {
					t.Fatalf("a set with a truncated file: got %q, %v; want SERVER_ERROR",
						answer, err)
				}
			}
			if failed := c.figures(t, "q")["failed"]; failed == "no" {
				t.Errorf("got failed %q in the stats, want a reason", failed)
			}
			for n := range 30 {
				if b, err := c.get("good"); err != nil ||
					string(b) != string(body("good", number{0, n})) {
					t.Fatalf("another queue: got %.40q, %v; want item %d", b, err, n)
				}
			}
			if answer, err := c.set("good/sync", []byte("x")); answer != "STORED" || err != nil {
				t.Fatalf("got %q, %v; want STORED", answer, err)
			}
			d.lives()
		})
	}
}

// A sector of a segment that the disk cannot read: in a sealed and in the active segment.
func TestABadSectorCostsItsItemsAndNoOther(t *testing.T) {
	for _, name := range []string{"ext4", "xfs"} {
		for _, where := range []string{"a sealed segment", "the active segment"} {
			t.Run(name+" "+where, func(t *testing.T) {
				if name != "ext4" && *long == 1 {
					t.Skip("in the long form")
				}
				badSector(t, kindNamed(name), where)
			})
		}
	}
}

func badSector(t *testing.T, k kind, where string) {
	k.needs(t)
	flags := slices.Concat(small, []string{"--compress", "none"}) // parity would repair the page
	s := newShelf(t)
	disk := k.make(t, s, k.size)
	m := k.use(t, s, disk)
	d := launch(t, m.dir+"/data", flags...)
	c := d.dial()
	const items = 400
	for n := range items {
		if answer, err := c.set("q", body("q", number{0, n})); answer != "STORED" || err != nil {
			t.Fatalf("got %q, %v; want STORED", answer, err)
		}
	}
	until(t, "sealed segments", func() bool { return c.figures(t, "q")["segments"] > "1" })
	d.stop()
	segments, _ := filepath.Glob(m.dir + "/data/q/*.seg")
	file := segments[0]
	if where == "the active segment" {
		file = segments[len(segments)-1]
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m.unmount()

	// Find a page of the segment on the disk by its content, and make it unreadable.
	victim := content[len(content)/2/pageSize*pageSize:][:pageSize]
	bad := int64(-1)
	for n, p := range disk.pages {
		if string(p[:]) == string(victim) {
			bad = n * pageSize
		}
	}
	if bad < 0 {
		t.Fatal("got no page of the disk with this content, want one")
	}
	disk.refusing(func(op string, off, n int64) error {
		if op == "read" && off < bad+pageSize && bad < off+n {
			return syscall.EIO
		}
		return nil
	})
	m = k.use(t, s, disk)
	d = launch(t, m.dir+"/data", flags...)
	c = d.dial()
	last, came := -1, 0
	for {
		b, err := c.get("q/close/open")
		if err != nil {
			t.Fatalf("got %v, want an answer\n%s", err, d.Log)
		}
		if b == nil {
			break
		}
		i, err := parse("q", b)
		if err != nil || i.n <= last {
			t.Fatalf("got item %v, %v; want one after %d", i, err, last)
		}
		last, came = i.n, came+1
	}
	if lost := items - came; lost < 1 || lost > 30 {
		t.Errorf("got %d items lost to a page of %d bytes, want 1 to 30\n%s", lost, pageSize, d.Log)
	}
	if damaged := c.figures(t, "q")["damaged_records"]; damaged != fmt.Sprint(items-came) {
		t.Errorf("got %s items counted as damaged, want the %d lost", damaged, items-came)
	}
	if answer, err := c.set("q/sync", body("q", number{1, 0})); answer != "STORED" || err != nil {
		t.Errorf("got %q, %v; want STORED\n%s", answer, err, d.Log)
	}
	d.lives()
}
