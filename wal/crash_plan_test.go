package wal_test

// A workload is worked out before it runs, so that a failing one can be run again with steps left
// out.

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// op is what a step does: see crash_steps_test.go.
type op string

const (
	opAppend    op = "append"
	opLarge     op = "large"
	opBegin     op = "begin"
	opPiece     op = "piece"
	opBreak     op = "break"
	opMove      op = "move"
	opNext      op = "next"
	opTryNext   op = "try next"
	opTake      op = "take"
	opTakeMany  op = "take many"
	opTakeLarge op = "take large"
	opSync      op = "sync"
	opSyncAll   op = "sync all"
	opFlush     op = "flush"
	opTidy      op = "tidy"
	opKeepShort op = "keep short"
	opCompact   op = "compact"
	opRace      op = "race"
	opGiveBack  op = "give back"
	opReopen    op = "reopen"
	opJoin      op = "join"
	opLeave     op = "leave"
	opRewind    op = "rewind"
	opFill      op = "fill disk"
	opRoom      op = "room"
	opBudget    op = "budget"
	opWriteback op = "writeback"
)

// step is one thing that is done to one log. n is whatever number the step needs.
type step struct {
	op       op
	log, who int
	n        int
}

// generation is a run from one start to one crash.
type generation struct {
	steps  []step
	cut    int   // at this call to the file system in the last step, or else after it
	recuts []int // recovery is cut at this call, and again
	luck   uint64
}

// plan is a workload. Those without a background are the same each time, but for salts and the
// order of maps.
type plan struct {
	seed            uint64
	power           bool
	logs, consumers int
	background      bool // goroutines do the slow work, else steps do
	timed           bool // syncs come by themselves
	offsets         int  // bytes that an offset file is mapped
	cold            bool
	generations     []generation
}

// weighted is how often a step comes. What a plan has none of is left out.
type weighted struct {
	op     op
	weight int
}

func newPlan(seed uint64, power bool) *plan {
	rng := rand.New(rand.NewPCG(seed, 42))
	p := &plan{
		seed: seed, power: power, logs: 1, consumers: 1 + int(seed/2%2),
		background: seed%4 == 3, offsets: 128 << 10, cold: rng.IntN(3) > 0,
	}
	p.timed = p.background && rng.IntN(2) == 0
	some := func(one, weight int) int { // in one of so many plans
		if rng.IntN(one) > 0 {
			return 0
		}
		return weight
	}
	if rng.IntN(3) == 0 {
		p.offsets = 24 << 10
	}
	if rng.IntN(3) == 0 {
		p.logs = 2 + rng.IntN(2)
	}
	full := some(4, 2)
	w := []weighted{
		{opBegin, some(2, 8)}, {opPiece, 24}, {opBreak, 1}, {opMove, 1},
		{opAppend, 46}, {opLarge, 4 + some(3, 8)}, {opNext, 22}, {opTryNext, some(2, 12)},
		{opTake, 18}, {opTakeLarge, 2},
		{opTakeMany, some(3, 3)}, {opSync, 4}, {opFlush, 1}, {opReopen, 2}, {opTidy, 3},
		{opKeepShort, some(2, 5)}, {opCompact, some(2, 2)}, {opRace, some(4, 2)}, {opGiveBack, some(3, 1)},
		{opJoin, some(3, 2)}, {opRewind, some(4, 1)}, {opFill, full}, {opRoom, full},
		{opBudget, some(4, 2)}, {opWriteback, some(2, 2)}, {opLeave, some(3, 2)},
	}
	if p.logs > 1 {
		w = append(w, weighted{opSyncAll, 4})
	}
	for range 3 {
		g := generation{luck: rng.Uint64(), cut: 1 + rng.IntN(15)}
		if rng.IntN(3) == 0 {
			g.cut = 1 + rng.IntN(200)
		}
		for range 1 + rng.IntN(120) {
			g.steps = append(g.steps, p.randomStep(rng, w))
		}
		if rng.IntN(4) == 0 {
			last := p.randomStep(rng, []weighted{{opKeepShort, 1}})
			g.steps, g.cut = append(g.steps, last), 1+rng.IntN(200)
		}
		for rng.IntN(2) == 0 {
			g.recuts = append(g.recuts, 1+rng.IntN(30))
		}
		p.generations = append(p.generations, g)
	}
	return p
}

func (p *plan) randomStep(rng *rand.Rand, w []weighted) step {
	sum := 0
	for _, x := range w {
		sum += x.weight
	}
	r := rng.IntN(sum)
	for _, x := range w {
		if r -= x.weight; r < 0 {
			return step{x.op, rng.IntN(p.logs), rng.IntN(p.consumers), rng.IntN(1 << 20)}
		}
	}
	panic("no step has any weight")
}

// fails runs the plan some times, as luck has a part in it.
func (p *plan) fails(times int) error {
	for range times {
		if err := p.run(&excuses{n: map[string]int{}}); err != nil {
			return err
		}
	}
	return nil
}

// shrink looks for the fewest steps that still fail, and says which they are and how they fail.
func (p *plan) shrink() string {
	times, runs := 3, 3000
	if p.background {
		times, runs = 20, 6000
	}
	why := p.fails(10 * times)
	if why == nil {
		return fmt.Sprintf("failed once and not in %d runs more:\n%v", 10*times, p)
	}
	smaller := func(q *plan) bool {
		runs -= times
		err := q.fails(times)
		if err != nil {
			*p, why = *q, err
		}
		return err != nil
	}
	for shrunk := true; shrunk && runs > 0; {
		shrunk = p.dropGenerations(smaller)
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

// dropGenerations tries to do without whole generations and without cuts of recovery.
func (p *plan) dropGenerations(smaller func(*plan) bool) (shrunk bool) {
	for g := len(p.generations) - 1; g >= 0 && len(p.generations) > 1; g-- {
		q := p.clone()
		q.generations = slices.Delete(q.generations, g, g+1)
		shrunk = smaller(q) || shrunk
	}
	for g := range p.generations {
		if len(p.generations[g].recuts) > 0 {
			q := p.clone()
			q.generations[g].recuts = nil
			shrunk = smaller(q) || shrunk
		}
	}
	return shrunk
}

func (p *plan) clone() *plan {
	q := *p
	q.generations = slices.Clone(p.generations)
	for i := range q.generations {
		q.generations[i].steps = slices.Clone(p.generations[i].steps)
	}
	return &q
}
