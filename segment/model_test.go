package segment

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"pgregory.net/rapid"
)

// TestWhatWasSyncedSurvivesPowerCutsAndAllElseTheDeathOfTheProcess drives one
// segment through random work, deaths and power cuts.
func TestWhatWasSyncedSurvivesPowerCutsAndAllElseTheDeathOfTheProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{fsys: disktest.New()}
		must2(t, m.fsys.Mkdir("q"))
		var err error
		capacity := rapid.SampledFrom([]int64{8 << 10, 64 << 10, 256 << 10}).Draw(t, "capacity")
		m.s, err = Create(m.fsys, testPath, capacity)
		must2(t, err)
		must2(t, m.s.Start(testHeader))
		must2(t, m.s.Sync())
		must2(t, m.fsys.SyncDir("q"))
		must2(t, m.fsys.SyncDir("/"))
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append,
			"sync": func(t *rapid.T) {
				must2(t, m.s.Sync())
				m.synced = len(m.items)
			},
			"trim": func(t *rapid.T) {
				if !m.s.Sealed() {
					must2(t, m.s.Trim())
				}
			},
			"seal": func(t *rapid.T) {
				if !m.s.Sealed() {
					must2(t, m.s.Seal())
					m.synced = len(m.items)
				}
			},
			"kill": func(t *rapid.T) { m.restart(t, m.fsys.Clone(), len(m.items)) },
			"cut": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				m.restart(t, m.fsys.Crash(rand.New(rand.NewPCG(seed, 1))), m.synced)
			},
			"": m.check,
		})
		must2(t, m.s.Close())
		if v := m.fsys.Violations(); len(v) > 0 {
			t.Fatalf("got violations %v, want none", v)
		}
	})
}

type model struct {
	fsys   *disktest.FS
	s      *Segment
	items  []Record
	synced int // of items, survive a power cut
}

func must2(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) append(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "items") {
		r := item(m.s.Last()+1, rapid.IntRange(0, 400).Draw(t, "size"))
		_, err := m.s.Append(&r)
		if errors.Is(err, ErrUnallocated) {
			must2(t, m.s.Extend(RecordSize(len(r.Payload))))
			_, err = m.s.Append(&r)
		}
		if errors.Is(err, ErrFull) || m.s.Sealed() && errors.Is(err, ErrReadOnly) {
			return
		}
		must2(t, err)
		m.items = append(m.items, r)
	}
}

// restart goes on with what a crash left, where all up to safe must be.
func (m *model) restart(t *rapid.T, left *disktest.FS, safe int) {
	must2(t, m.s.Close())
	was := m.s.Sealed()
	m.fsys = left
	var err error
	m.s, _, err = Open(left, testPath, OpenOptions{Write: true})
	must2(t, err)
	var found []Record
	for off := uint32(HeaderSize); off < m.s.Tail(); {
		r, next, err := m.s.At(off)
		if errors.Is(err, ErrDamaged) {
			if off, err = m.s.Resync(off + Align); err != nil {
				break
			}
			continue
		}
		must2(t, err)
		i := len(found)
		for i < len(m.items) && m.items[i].Seq != r.Seq {
			i++
		}
		if i == len(m.items) || !same(r, m.items[i]) {
			t.Fatalf("got record %+v, which was never written", r)
		}
		if i > len(found) && len(found) < safe {
			t.Fatalf("record %d is lost, want the first %d kept", m.items[len(found)].Seq, safe)
		}
		found = append(found, m.items[i])
		off = next
	}
	if len(found) < safe {
		t.Fatalf("got %d records after a crash, want at least %d", len(found), safe)
	}
	if was && !m.s.Sealed() {
		t.Fatal("got a segment without its seal after a crash, want it sealed as before")
	}
	m.items = found
	must2(t, m.s.Sync())
	m.synced = len(found)
}

func (m *model) check(t *rapid.T) {
	if got := m.s.Totals().Items; got != uint64(len(m.items)) {
		t.Fatalf("%d items, want %d", got, len(m.items))
	}
	if n := len(m.items); n > 0 {
		r := m.items[rapid.IntRange(0, n-1).Draw(t, "look")]
		off, err := m.s.Find(r.Seq)
		must2(t, err)
		got, _, err := m.s.At(off)
		must2(t, err)
		if !same(got, r) {
			t.Fatalf("read %+v, want %+v", got, r)
		}
	}
}
