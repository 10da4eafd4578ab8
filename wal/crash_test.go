package wal_test

// The crash campaign: random workloads on a disk in memory are cut off at a random call to the file
// system, what is left is recovered and held against what was promised, and it goes on from there.
//
//	crash_test.go        how many, from which seed, and how failures are reported
//	crash_plan_test.go   a workload as a list of steps; a failing one is shrunk to the fewest
//	crash_world_test.go  the disk, the logs on it, and what the test knows of their items
//	crash_steps_test.go  what each step does
//	crash_check_test.go  what recovery has to deliver, and what it is excused
//
// A long campaign with new seeds: go test ./wal -run 'TestKillKeeps|TestPowerCutKeeps' -v -timeout
// 2h -crashes 100000 -seed 5000000

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	crashes   = flag.Int("crashes", 40, "random workloads that end in a crash")
	firstSeed = flag.Uint64("seed", 0, "of the first of them")
	crashTime = flag.Duration("crash-time", 0, "no workload is begun after so long; 0: no bound")
)

func TestPowerCutKeepsWhatWasSynced(t *testing.T) { crashMany(t, true) }
func TestKillKeepsEverything(t *testing.T)        { crashMany(t, false) }

func crashMany(t *testing.T, power bool) {
	n := *crashes
	if testing.Short() {
		n = min(n, 30)
	}
	var next, ran atomic.Uint64
	began := time.Now()
	late := func() bool { return *crashTime > 0 && time.Since(began) > *crashTime }
	next.Store(*firstSeed)
	end := *firstSeed + uint64(n)
	excuses := excuses{n: map[string]int{}}
	failing := make(chan string, n)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1) - 1; seed < end && !late(); seed = next.Add(1) - 1 {
				ran.Add(1)
				if p := newPlan(seed, power); p.run(&excuses) != nil {
					failing <- p.shrink()
				}
			}
		})
	}
	workers.Wait()
	close(failing)
	for f := range failing {
		t.Error(f)
	}
	t.Logf("%d workloads from seed %d on", ran.Load(), *firstSeed)
	t.Logf("%d segments were used again", excuses.reused.Load())
	for _, why := range slices.Sorted(maps.Keys(excuses.n)) {
		t.Logf("excused: %s: %d", why, excuses.n[why])
	}
}

// excuses counts what a recovery need not have delivered, or might deliver again, by the reason.
type excuses struct {
	reused atomic.Int64 // segments that were used again before a cut

	mu sync.Mutex
	n  map[string]int
}

func (e *excuses) add(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n[why]++
}

// String is for a plan that failed.
func (p *plan) String() string {
	s := fmt.Sprintf("seed %d, power cuts %v, %d logs, %d consumers, a background of its own %v, syncs by timer %v, offset files of %d KiB, cold %v\n",
		p.seed, p.power, p.logs, p.consumers, p.background, p.timed, p.offsets>>10, p.cold)
	for i, g := range p.generations {
		s += fmt.Sprintf("  generation %d, cut at call %d of its last step, recovery at calls %v, luck %d\n", i, g.cut, g.recuts, g.luck)
		for _, st := range g.steps {
			s += fmt.Sprintf("    %-10s log %d, consumer %d, n %d\n", st.op, st.log, st.who, st.n)
		}
	}
	return s
}
