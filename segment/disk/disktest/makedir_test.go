package disktest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/disk"
)

func TestADirectoryThatWasMadeSurvivesAPowerCutAtEachLevel(t *testing.T) {
	for seed := range uint64(50) {
		m := New()
		if err := disk.MakeDir(m, "/a/b/c/d"); err != nil {
			t.Fatal(err)
		}
		image := m.Crash(rand.New(rand.NewPCG(seed, 1)))
		if _, err := image.ReadDir("/a/b/c/d"); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// If it is killed at any call and run again, a power cut takes nothing of the directory.
func TestADirectoryThatWasMadeInTwoGoesSurvivesAPowerCut(t *testing.T) {
	for killed := 1; ; killed++ {
		m := New()
		m.Fail(func(_ Op, _ string, n int) error {
			if n >= killed {
				return errors.New("killed")
			}
			return nil
		})
		if disk.MakeDir(m, "/a/b/c") == nil {
			return
		}
		for seed := range uint64(20) {
			again := m.Clone()
			if err := disk.MakeDir(again, "/a/b/c"); err != nil {
				t.Fatal(err)
			}
			if _, err := again.Crash(rand.New(rand.NewPCG(seed, 1))).ReadDir("/a/b/c"); err != nil {
				t.Fatalf("killed at call %d, seed %d: %v", killed, seed, err)
			}
		}
	}
}

func TestADirectoryWhoseParentCannotBeSyncedIsToldOf(t *testing.T) {
	broken := errors.New("broken on purpose")
	m := New()
	m.Fail(func(op Op, _ string, _ int) error {
		if op == OpSyncDir {
			return broken
		}
		return nil
	})
	if err := disk.MakeDir(m, "/a/b"); !errors.Is(err, broken) {
		t.Fatalf("got %v, want the error of the sync", err)
	}
}
