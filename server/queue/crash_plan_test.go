package queue

// A workload is worked out before it runs, so that a failing one can be run again with steps left
// out.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// op is what a step does: see crash_steps_test.go.
type op string

const (
	opPut       op = "put"
	opPutMany   op = "put many"
	opLarge     op = "large"
	opFetch     op = "fetch"
	opConfirm   op = "confirm"
	opReturn    op = "return"
	opFail      op = "fail"
	opSync      op = "sync"
	opPass      op = "pass"
	opExpire    op = "expire"
	opPark      op = "park"
	opRestart   op = "restart"
	opFill      op = "fill disk"
	opRoom      op = "room"
	opWriteback op = "writeback"
)

// step is one thing that is done to one queue. n is whatever number the step needs.
type step struct {
	op    op
	queue string
	n     int
}

// generation is a run from one start to one crash.
type generation struct {
	steps []step // none: the cut comes while the queues are opened
	cut   int    // at this call to the file system in the last step, or else after it
	luck  uint64
}

// plan is a workload.
type plan struct {
	seed        uint64
	power       bool
	timed       bool // syncs come by themselves
	settles     bool // each step is over before the next one
	settings    map[string]*Settings
	generations []generation
}

// Clients put into the first few of the queues; the others have what was moved there.
var (
	queueNames = []string{"work", "plain", "late", "few", "old", "dead", "grave"}
	homes      = queueNames[:4]
)

func newPlan(seed uint64, power bool) *plan {
	rng := rand.New(rand.NewPCG(seed, 44))
	p := &plan{seed: seed, power: power, timed: rng.IntN(3) == 0, settles: rng.IntN(2) == 0}
	p.settings = randomSettings(rng)
	some := func(one, weight int) int { // in one of so many plans
		if rng.IntN(one) > 0 {
			return 0
		}
		return weight
	}
	full := some(4, 2)
	w := []struct {
		op     op
		weight int
	}{
		{opPut, 40}, {opPutMany, some(2, 8)}, {opLarge, some(3, 3)}, {opFetch, 16}, {opConfirm, 10},
		{opReturn, 8}, {opFail, some(2, 12)}, {opSync, 8}, {opPass, 12}, {opExpire, 2}, {opPark, 3},
		{opRestart, some(2, 1)}, {opFill, full}, {opRoom, full}, {opWriteback, some(2, 2)},
	}
	sum := 0
	for _, x := range w {
		sum += x.weight
	}
	random := func() step {
		s := step{queue: homes[rng.IntN(len(homes))], n: rng.IntN(1 << 20)}
		if rng.IntN(6) == 0 {
			s.queue = queueNames[rng.IntN(len(queueNames))]
		}
		r := rng.IntN(sum)
		for _, x := range w {
			if r -= x.weight; r < 0 {
				s.op = x.op
				break
			}
		}
		return s
	}
	for range 3 {
		g := generation{luck: rng.Uint64(), cut: 1 + rng.IntN(20)}
		if rng.IntN(3) == 0 {
			g.cut = 1 + rng.IntN(150)
		}
		if rng.IntN(8) > 0 {
			for range 1 + rng.IntN(70) {
				g.steps = append(g.steps, random())
			}
			if rng.IntN(2) == 0 {
				g.steps = append(g.steps, step{op: opPass, n: rng.IntN(1 << 20)})
			}
		}
		p.generations = append(p.generations, g)
	}
	return p
}

// randomSettings are those of each queue. Nothing that was moved is dropped.
func randomSettings(rng *rand.Rand) map[string]*Settings {
	some := func(d time.Duration) time.Duration { return d * time.Duration(rng.IntN(2)) }
	retry := func(s *Settings) *Settings {
		if s.RetryDelay = some(3 * time.Second); s.RetryDelay > 0 {
			s.RetryDelayMax = some(10 * time.Second)
		}
		if rng.IntN(2) == 0 {
			s.MaxExpireSweep = 1 + rng.IntN(4)
		}
		return s
	}
	target := func() *Settings {
		s := new(Settings)
		switch rng.IntN(4) {
		case 0:
			s.MaxItems = 1 + rng.Int64N(8)
		case 1:
			s.MaxAge, s.ExpireTo = time.Minute, "grave"
		}
		return s
	}
	return map[string]*Settings{
		"work": retry(&Settings{
			ExpireTo: "old", MaxDeliveries: 1 + rng.IntN(3), DeadLetter: "dead",
			MaxAge: some(40 * time.Second),
		}),
		"plain": retry(&Settings{MaxAge: some(30 * time.Second), MaxDeliveries: 3 * rng.IntN(2)}),
		"late": retry(&Settings{
			Delay: some(7 * time.Second), ExpireTo: "old", MaxAge: some(50 * time.Second),
		}),
		"few": retry(&Settings{
			MaxItems: 4 + rng.Int64N(20), Discard: rng.IntN(2) == 0, ExpireTo: "old",
			MaxDeliveries: 2, DeadLetter: "dead",
		}),
		"old": target(), "dead": target(), "grave": new(Settings),
	}
}

// fails runs the plan some times, as luck has a part in it.
func (p *plan) fails(t *testing.T, times int) error {
	for range times {
		if err := p.run(t, new(figuresOfCrashes)); err != nil {
			return err
		}
	}
	return nil
}

// shrink looks for the fewest steps that still fail, and says which they are and how they fail.
func (p *plan) shrink(t *testing.T) string {
	times, runs := 3, 600
	why := p.fails(t, 20*times)
	if why == nil {
		return fmt.Sprintf("failed once and not in %d runs more:\n%v", 20*times, p)
	}
	smaller := func(q *plan) bool {
		runs -= times
		err := q.fails(t, times)
		if err != nil {
			*p, why = *q, err
		}
		return err != nil
	}
	for shrunk := true; shrunk && runs > 0; {
		shrunk = false
		for g := len(p.generations) - 1; g >= 0 && len(p.generations) > 1; g-- {
			q := p.clone()
			q.generations = slices.Delete(q.generations, g, g+1)
			shrunk = smaller(q) || shrunk
		}
		for g := range p.generations {
			for size := max(1, len(p.generations[g].steps)/2); size > 0; size /= 2 {
				for at := 0; at+size <= len(p.generations[g].steps) && runs > 0; {
					q := p.clone()
					q.generations[g].steps = slices.Delete(q.generations[g].steps, at, at+size)
					if smaller(q) {
						shrunk = true
					} else {
						at += size
					}
				}
			}
		}
	}
	return fmt.Sprintf("%v\n  %v", why, p)
}

func (p *plan) clone() *plan {
	q := *p
	q.generations = slices.Clone(p.generations)
	for i := range q.generations {
		q.generations[i].steps = slices.Clone(p.generations[i].steps)
	}
	return &q
}
