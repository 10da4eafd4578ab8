package wal_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func TestAGlanceSaysWhatTheLogDoes(t *testing.T) {
	for name, left := range map[string]int{"full": enough, "some": 700, "one": 1, "empty": 0} {
		t.Run(name, func(t *testing.T) {
			killed := killedWith(t, enough, left)
			l := open(t, "/data/q", largeSegments(killed.FS))
			consumer(t, l)
			slim(l)
			l.Close()
			for state, m := range map[string]memory{"killed": killedWith(t, enough, left),
				"closed": killed} {
				g, err := wal.Look(m.FS, "/data/q")
				if err != nil {
					t.Fatal(err)
				}
				after := memory{m.Clone(), t}
				l := open(t, "/data/q", largeSegments(after.FS))
				c := consumer(t, l)
				items, bytes := c.Pending()
				p, meta, ok, err := c.Next()
				if err != nil || ok != (left > 0) {
					t.Fatalf("got %+v, %v, %v", p, ok, err)
				}
				s := l.Stats()
				if g.Items != items || g.Bytes != bytes || g.Appended != s.Appended ||
					g.CreatedUnix != s.CreatedUnix ||
					g.Enqueued != meta.Enqueued || g.Expires != meta.Expires {
					t.Errorf("%s: got the glance %+v, want %d items, %d bytes, %+v and the head %+v",
						state, g, items, bytes, s, meta)
				}
				if wants := state == "killed" && left < enough; g.Waste != wants && left != enough {
					t.Errorf("%s: got waste %v, want %v", state, g.Waste, wants)
				}
				l.Close()
			}
		})
	}
}

// A glance at whatever a crash left reads, and writes nothing.
func TestAGlanceChangesNothing(t *testing.T) {
	m := killedWith(t, 1000, 10)
	m.Fail(func(op disktest.Op, name string, _ int) error {
		switch op {
		case disktest.OpReadDir, disktest.OpOpen, disktest.OpRead, disktest.OpSize, disktest.OpMap:
		default:
			t.Errorf("got a call %s of %s, want none that writes", op, name)
		}
		return nil
	})
	if g, err := wal.Look(m.FS, "/data/q"); err != nil || g.Items != 10 {
		t.Fatalf("got %+v, %v, want 10 items", g, err)
	}
}

// Of a log's files any may be missing: some were put back, or a power cut left no more.
func TestAGlanceAtAnyOfALogsFilesTellsSomething(t *testing.T) {
	m := newMemory(t)
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpRename && strings.HasSuffix(name, ".spare") {
			return syscall.ENOSPC // it keeps the name that it was prepared under
		}
		return nil
	})
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 2500)
	takeOne(t, l, c)
	settle(l)
	m = memory{m.Clone(), t}
	names := m.Names("/data/q")
	for missing := range 1 << len(names) {
		image := memory{m.Clone(), t}
		for i, name := range names {
			if missing>>i&1 > 0 {
				if err := image.Remove("/data/q/" + name); err != nil {
					t.Fatal(err)
				}
			}
		}
		g, err := wal.Look(image.FS, "/data/q")
		if err != nil || g.Items > 2500 {
			t.Errorf("with %b of %q missing: got %+v, %v", missing, names, g, err)
		}
	}
}

func TestAGlanceAtALogThatIsNotThereIsAnError(t *testing.T) {
	if _, err := wal.Look(newMemory(t).FS, "/data/none"); err == nil ||
		!strings.Contains(err.Error(), "none") {
		t.Fatal(err)
	}
}

// A power cut may leave no more of a log than its directory, or a file that has nothing in it.
func TestAGlanceAtALogWithoutFilesSeesNoItems(t *testing.T) {
	m := newMemory(t)
	if err := disk.MakeDir(m.FS, "/data/q"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if g, err := wal.Look(m.FS, "/data/q"); err != nil || g.Items != 0 || g.Bytes != 0 {
			t.Errorf("got %+v, %v, want no items", g, err)
		}
		if err := m.WriteFile("/data/q/consumer.off", make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
}
