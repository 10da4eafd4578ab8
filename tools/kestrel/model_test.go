package kestrel

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/darner/darner/segment/disk/disktest"
)

// server is a model of a Kestrel with one queue, and the journal that it writes.
type server struct {
	old     bool // it opens items without writing their ids
	queue   []string
	open    map[int32]string
	id      int32
	count   int
	current file
	rotated []file
	// alike lists lengths of current at which a cut operation looks like a checkpoint.
	alike []int
}

func (s *server) add() {
	item := fmt.Sprint("item ", s.count)
	s.count++
	s.queue = append(s.queue, item)
	s.current = s.current.addX(item, when, 0)
}

func (s *server) remove() {
	if len(s.queue) > 0 {
		s.queue = s.queue[1:]
		s.current = s.current.remove()
	}
}

func (s *server) openHead() {
	if len(s.queue) == 0 {
		return
	}
	s.id++
	s.open[s.id] = s.queue[0]
	s.queue = s.queue[1:]
	if s.old {
		s.current = s.current.open()
	} else {
		s.current = s.current.openID(s.id)
	}
}

// close ends an open read in one of three ways.
func (s *server) close(id int32, how int) {
	item := s.open[id]
	delete(s.open, id)
	switch how {
	case 0:
		s.current = s.current.confirm(id)
	case 1:
		s.queue = append([]string{item}, s.queue...)
		s.current = s.current.unremove(id)
	case 2:
		item += "+"
		s.queue = append(s.queue, item)
		s.alike = append(s.alike, len(s.current)+9)
		s.current = s.current.resume(id, item, when, 0)
	}
}

func (s *server) rotate() {
	s.rotated = append(s.rotated, s.current)
	s.current, s.alike = nil, nil
}

func (s *server) ids() (ids []int32) {
	for id := range s.open {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// state returns what the queue holds after the server has ended.
func (s *server) state() (items []string) {
	for _, id := range s.ids() {
		items = append(items, s.open[id])
	}
	return append(items, s.queue...)
}

// journal writes the files to a disk, the newest cut to cut bytes.
func (s *server) journal(cut int) *disktest.FS {
	fsys := disktest.New()
	for i, f := range s.rotated {
		fsys.WriteFile(fmt.Sprintf("k/q.%d", i), f)
	}
	fsys.WriteFile("k/q", s.current[:cut])
	return fsys
}

func TestReplayAgreesWithTheServerThatWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &server{old: rapid.Bool().Draw(t, "old"), open: map[int32]string{}}
		type point struct {
			at    int
			state []string
		}
		points := []point{{0, nil}} // where operations of the newest file end
		for range rapid.IntRange(0, 60).Draw(t, "operations") {
			switch rapid.IntRange(0, 9).Draw(t, "operation") {
			case 0, 1, 2, 3:
				s.add()
			case 4:
				s.remove()
			case 5, 6:
				s.openHead()
			case 7, 8:
				if ids := s.ids(); len(ids) > 0 {
					s.close(rapid.SampledFrom(ids).Draw(t, "id"),
						rapid.IntRange(0, 2).Draw(t, "how"))
				}
			case 9:
				s.rotate()
				points = nil
			}
			points = append(points, point{len(s.current), s.state()})
		}
		cut := rapid.IntRange(0, len(s.current)).Draw(t, "cut")
		want := points[0]
		for _, p := range points {
			if p.at <= cut {
				want = p
			}
		}
		got, findings := held(t, s.journal(cut))
		if !slices.Equal(got, want.state) {
			t.Fatalf("cut at %d:\n got %q\nwant %q", cut, got, want.state)
		}
		if torn := cut > want.at && !slices.Contains(s.alike, cut); torn != (len(findings) == 1) ||
			torn && !findings[0].Torn {
			t.Fatalf("cut at %d, an operation ends at %d: got findings %v, want torn %v", cut,
				want.at, findings, torn)
		}
	})
}

// held returns the items of the only queue in directory k.
func held(t interface{ Fatal(...any) }, fsys *disktest.FS) (items []string, findings []Finding) {
	queues, _, err := Queues(fsys, "k")
	if err != nil || len(queues) != 1 {
		t.Fatal("got the queues", queues, err, "want one")
	}
	c, err := Replay(fsys, "k", queues[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Each(func(i Item) error {
		b, err := io.ReadAll(i.Body)
		items = append(items, string(b))
		return err
	})
	if err != nil || int64(len(items)) != c.Items {
		t.Fatal("got", len(items), "items,", err, "want", c.Items)
	}
	return items, c.Findings
}

// Any bytes can be read as a journal, and all items read are in them.
func FuzzReplay(f *testing.F) {
	for _, d := range directories {
		var all file
		for _, part := range d.files {
			f.Add([]byte(part), []byte{})
			all = append(all, part...)
		}
		f.Add([]byte(all), []byte(all))
	}
	f.Fuzz(func(t *testing.T, rotated, current []byte) {
		fsys := disktest.New()
		fsys.WriteFile("k/q.1", rotated)
		fsys.WriteFile("k/q", current)
		items, _ := held(t, fsys)
		for _, i := range items {
			if !strings.Contains(string(rotated), i) && !strings.Contains(string(current), i) {
				t.Fatalf("got item %q, which is in neither file", i)
			}
		}
	})
}

// Memory depends on the open items alone: a payload is not read to find the next item.
func TestReplayReadsNoPayloads(t *testing.T) {
	fsys := disktest.New()
	large := strings.Repeat("x", 1<<20)
	f := file{}
	for range 8 {
		f = f.addX(large, when, 0)
	}
	fsys.WriteFile("k/q", f)
	var read int
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpRead {
			read++
		}
		return nil
	})
	c, err := Replay(fsys, "k", Queue{"q", []string{"q"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Items != 8 || c.Bytes != 8<<20 || read > 20 {
		t.Errorf("got %d items of %d bytes in %d reads, want 8 of 8 MiB in at most 20", c.Items,
			c.Bytes, read)
	}
}
