package queue

// The crash campaign of queues: random workloads with settings that move, delay and end items are
// cut off at a random call to the file system. What is left is held against what was promised,
// drained, and the workload goes on from there. Package wal has the same for one log.
//
//	crash_test.go        how many, from which seed, and how failures are reported
//	crash_plan_test.go   a workload as a list of steps; a failing one is shrunk to the fewest
//	crash_world_test.go  the disk, the queues on it, and what the test knows of their items
//	crash_steps_test.go  what each step does
//	crash_check_test.go  what the files have to have after a crash
//	crash_drain_test.go  what the queues have to deliver then, and when
//
// A long campaign with new seeds: go test ./server/queue -run 'TestKillKeeps|TestPowerCutKeeps' -v
// -timeout 2h -crashes 20000 -seed 5000000

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var (
	crashes   = flag.Int("crashes", 16, "random workloads that end in crashes")
	firstSeed = flag.Uint64("seed", 0, "of the first of them")
	crashTime = flag.Duration("crash-time", 0, "no workload is begun after so long; 0: no bound")
)

func TestPowerCutKeepsItemsThatMoveOrWait(t *testing.T) { crashMany(t, true) }
func TestKillKeepsItemsThatMoveOrWait(t *testing.T)     { crashMany(t, false) }

func crashMany(t *testing.T, power bool) {
	const mostShrunk = 2 // which takes a minute each
	var next, ran atomic.Uint64
	var failed atomic.Int64
	began := time.Now()
	late := func() bool { return *crashTime > 0 && time.Since(began) > *crashTime }
	next.Store(*firstSeed)
	end := *firstSeed + uint64(*crashes)
	var seen figuresOfCrashes
	t.Run("", func(t *testing.T) { // which waits for all workers
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed < end && !late(); seed = next.Add(1) - 1 {
					ran.Add(1)
					p := newPlan(seed, power)
					if err := p.run(t, &seen); err != nil && failed.Add(1) > mostShrunk {
						t.Errorf("seed %d: %v", seed, err)
					} else if err != nil {
						t.Error(p.shrink(t))
					}
				}
			})
		}
	})
	t.Logf("%d workloads from seed %d on, %d crashes", ran.Load(), *firstSeed, seen.crashes.Load())
	t.Logf("items left: %d, %d of them delayed, %d moved before; %d were in two places",
		seen.left.Load(), seen.delayed.Load(), seen.moved.Load(), seen.twice.Load())
	t.Logf("crashes while items were being moved: %d; on a full disk: %d",
		seen.moving.Load(), seen.full.Load())
	t.Logf("logs whose bytes were not exact after a power cut: %d", seen.inexact.Load())
}

// figuresOfCrashes say what a campaign came across.
type figuresOfCrashes struct {
	crashes, left, delayed, moved, twice, moving, full, inexact atomic.Int64
}

// String is for a plan that failed.
func (p *plan) String() string {
	s := fmt.Sprintf("seed %d, power cuts %v, syncs by timer %v, settles %v\n", p.seed, p.power,
		p.timed, p.settles)
	for _, name := range queueNames {
		s += fmt.Sprintf("  %-6s %s\n", name, brief(p.settings[name]))
	}
	for i, g := range p.generations {
		s += fmt.Sprintf("  generation %d, cut at call %d of its last step, luck %d\n", i, g.cut,
			g.luck)
		for _, st := range g.steps {
			s += fmt.Sprintf("    %-8s %-6s n %d\n", st.op, st.queue, st.n)
		}
	}
	return s
}

// brief is what is set of some settings.
func brief(s *Settings) string {
	text := strings.Trim(fmt.Sprintf("%+v", *s), "{}")
	set := slices.DeleteFunc(strings.Fields(text), func(one string) bool {
		_, value, _ := strings.Cut(one, ":")
		return value == "" || value == "0" || value == "0s" || value == "false" || value == "<nil>"
	})
	return strings.Join(set, " ")
}
