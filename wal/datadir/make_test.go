package datadir

import (
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestADataDirectoryThatWasMadeSurvivesAPowerCut(t *testing.T) {
	for seed := range uint64(20) {
		m := disktest.New()
		_, lock, err := Make(m, "/srv/darner/data", ofLog)
		if err != nil {
			t.Fatal(err)
		}
		lock.Close()
		if _, err := m.Crash(rand.New(rand.NewPCG(seed, 1))).ReadDir("/srv/darner/data"); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
