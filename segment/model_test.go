package segment

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk/disktest"
	"pgregory.net/rapid"
)

// TestWhatWasSyncedSurvivesPowerCutsAndAllElseTheDeathOfTheProcess drives one
// segment through random work, deaths and power cuts.
func TestWhatWasSyncedSurvivesPowerCutsAndAllElseTheDeathOfTheProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{fsys: disktest.New(), begun: true}
		must2(t, m.fsys.Mkdir("q"))
		capacity := rapid.SampledFrom([]int64{8 << 10, 64 << 10, 256 << 10}).Draw(t, "capacity")
		m.create(t, capacity)
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append,
			"sync": func(t *rapid.T) {
				must2(t, m.s.Sync())
				m.synced, m.begun = len(m.items), true
			},
			"trim": func(t *rapid.T) {
				if !m.s.Sealed() {
					must2(t, m.s.Trim())
				}
			},
			"seal": func(t *rapid.T) {
				if !m.s.Sealed() {
					must2(t, m.s.Seal())
					m.synced, m.begun, m.open = len(m.items), true, nil
				}
			},
			"reserve": m.reserve,
			"fill":    m.fill,
			"release": m.release,
			"recycle": m.recycle,
			"kill": func(t *rapid.T) {
				m.begun = true
				m.restart(t, m.fsys.Clone(), len(m.items))
			},
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

	open  []Body // that came in part
	begun bool   // the start of the segment survives a power cut
	use   uint64 // of the file
}

func (m *model) create(t *rapid.T, capacity int64) {
	var err error
	m.s, err = Create(m.fsys, testPath, capacity)
	must2(t, err)
	must2(t, m.s.Start(testHeader))
	must2(t, m.s.Sync())
	must2(t, m.fsys.SyncDir("q"))
	must2(t, m.fsys.SyncDir("/"))
	m.use = 0
}

// reserve begins a payload, and fills some of it.
func (m *model) reserve(t *rapid.T) {
	size := rapid.SampledFrom([]int{1, 100, 6000, 20_000}).Draw(t, "size")
	b, err := m.s.Reserve(size)
	if errors.Is(err, ErrUnallocated) {
		must2(t, m.s.Extend(ReserveSize(size)))
		b, err = m.s.Reserve(size)
	}
	if errors.Is(err, ErrFull) || m.s.Sealed() && errors.Is(err, ErrReadOnly) {
		return
	}
	must2(t, err)
	must2(t, m.s.Fill(b, 0, item(1, size/2).Payload))
	m.open = append(m.open, b)
}

// fill completes a payload that came in part, and appends its record.
func (m *model) fill(t *rapid.T) {
	if len(m.open) == 0 || m.s.Sealed() {
		return
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(t, "which")
	b := m.open[i]
	r := item(m.s.Last()+1, b.Size())
	r.Kind = KindItem
	cut := b.Size() / 3
	must2(t, m.s.Fill(b, 0, r.Payload[:cut]))
	copy(m.s.Lend(b, cut), r.Payload[cut:])
	want := r
	_, err := m.s.AppendBody(b, checksum.Update(m.s.SumStart(b), r.Payload), &r)
	if errors.Is(err, ErrUnallocated) {
		must2(t, m.s.Extend(ReserveSize(0)))
		_, err = m.s.AppendBody(b, checksum.Update(m.s.SumStart(b), want.Payload), &r)
	}
	if errors.Is(err, ErrFull) {
		return
	}
	must2(t, err)
	m.open = append(m.open[:i], m.open[i+1:]...)
	m.items = append(m.items, want)
}

func (m *model) release(t *rapid.T) {
	if n := len(m.open); n > 0 {
		m.s.Release(m.open[n-1])
		m.open = m.open[:n-1]
	}
}

// recycle begins anew in the same file. All that it holds was taken.
func (m *model) recycle(t *rapid.T) {
	err := m.s.Recycle(testPath)
	if errors.Is(err, ErrReadOnly) { // it was sealed when it was opened
		return
	}
	must2(t, err)
	h := testHeader
	h.First, h.Salt = 200, 0
	if len(m.items) > 0 {
		h.First = m.items[len(m.items)-1].Seq + 100
	}
	must2(t, m.s.Start(h))
	m.items, m.open, m.synced, m.begun = nil, nil, 0, false
	m.use = m.s.Header().Use
}

func must2(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) append(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "items") {
		r := item(m.s.Last()+1, rapid.SampledFrom([]int{0, 1, 20, 400, 5000, 20_000}).Draw(t, "size"))
		_, err := m.s.Append(&r)
		if errors.Is(err, ErrUnallocated) {
			must2(t, m.s.Extend(r.Size()))
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
	m.open = nil
	m.s, _, err = Open(left, testPath, OpenOptions{Write: true})
	must2(t, err)
	if use := m.s.Header().Use; use != m.use && !m.begun { // it is as it was in an earlier use
		m.use, m.begun = use, true
		m.items = nil
		if m.s.Sealed() { // what it held was taken: the log deletes it
			must2(t, m.s.Close())
			must2(t, left.Remove(testPath))
			m.create(t, m.s.Header().Capacity)
			return
		}
		m.recycle(t)
		must2(t, m.s.Sync())
		m.begun = true
		return
	}
	var found []Record
	for off := uint32(HeaderSize); off < m.s.Tail(); {
		r, next, err := m.s.At(off)
		if err == io.EOF {
			break // a body without its record
		}
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
