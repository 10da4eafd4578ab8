package wal_test

// Directories that the log makes, its own and the quarantine's, and what a power cut leaves of
// them.

import (
	"math/rand/v2"
	"path"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestALogSeveralNewDirectoriesDeepSurvivesAPowerCut(t *testing.T) {
	const dir = "/srv/app/queues/work"
	for seed := range uint64(20) {
		m := memory{disktest.New(), t}
		l := open(t, dir, options(m.FS))
		put(t, l, "a")
		syncNow(t, l)
		after := m.Crash(rand.New(rand.NewPCG(seed, 1)))
		l = open(t, dir, options(after))
		if _, got := next(t, l, consumer(t, l)); got != "a" {
			t.Fatalf("seed %d: got %q, want the synced item", seed, got)
		}
	}
}

func TestWhatIsSetAsideSurvivesAPowerCut(t *testing.T) {
	for name, harm := range map[string]func(m memory, seg string){
		"a damaged range": func(m memory, seg string) {
			if err := m.Corrupt(seg, 1024+20, 0xff); err != nil {
				t.Fatal(err)
			}
		},
		"a whole segment": func(m memory, seg string) {
			for i := range int64(8) { // magic and all, both copies of the header
				m.Corrupt(seg, i, 0xff)
				m.Corrupt(seg, 512+i, 0xff)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			l := m.open()
			consumer(t, l)
			fill(t, l, 0, 10)
			l.Close()
			harm(m, path.Join("/data/q", m.files(".seg")[0]))
			l = m.open()
			drain(t, l, consumer(t, l))
			settle(l)
			if len(m.Names("/data/q/.quarantine/q")) == 0 {
				t.Fatal("nothing was set aside: this test shows nothing")
			}
			for seed := range uint64(20) {
				after := m.Crash(rand.New(rand.NewPCG(seed, 1)))
				if got := after.Names("/data/q/.quarantine/q"); len(got) == 0 {
					t.Fatalf("seed %d: got an empty quarantine, want what was set aside", seed)
				}
			}
		})
	}
}
