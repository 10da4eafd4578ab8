package fsck

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// How many findings of one kind are listed for a queue; the others are counted. A million leftovers
// must fill neither the memory nor the screen, but damage is to be named.
const (
	maxNotes  = 10
	maxDamage = 1000
)

// tally passes a queue's findings on and counts them.
type tally struct {
	queue  string
	emit   func(Finding)
	left   bool // after a repair
	newer  bool // something is of a newer format
	counts map[Severity]int
	seen   map[group]*crowd
}

// group is what findings have in common that are counted together.
type group struct {
	severity Severity
	kind     Kind
}

// crowd is the findings of a group.
type crowd struct {
	n, listed int
	items     uint64 // lost by those not listed
}

func newTally(queue string, emit func(Finding)) *tally {
	return &tally{queue: queue, emit: emit, counts: make(map[Severity]int), seen: make(map[group]*crowd)}
}

func (t *tally) add(f Finding) {
	t.counts[f.Severity]++
	key := group{f.Severity, f.Kind}
	c := t.seen[key]
	if c == nil {
		c = new(crowd)
		t.seen[key] = c
	}
	c.n++
	t.newer = t.newer || f.Kind == NewerFormat
	limit := maxDamage
	if f.Severity == Note || t.left { // what is left was listed before
		limit = maxNotes
	}
	if c.listed >= limit {
		c.items += f.Items
		return
	}
	c.listed++
	t.pass(f)
}

// finish tells of the findings that were not listed.
func (t *tally) finish() {
	keys := slices.SortedFunc(maps.Keys(t.seen), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.severity, b.severity), cmp.Compare(a.kind, b.kind))
	})
	for _, key := range keys {
		if c := t.seen[key]; c.n > c.listed {
			t.pass(Finding{
				Severity: key.severity, Kind: key.kind, Items: c.items,
				What: fmt.Sprintf("and %d more of the kind %s", c.n-c.listed, key.kind),
			})
		}
	}
}

func (t *tally) pass(f Finding) {
	if t.emit == nil || t.left && f.Severity == Note {
		return
	}
	f.Queue, f.Left = t.queue, t.left
	t.emit(f)
}

// items counts items, in words.
func items(n uint64) string {
	if n == 1 {
		return "1 item"
	}
	return fmt.Sprintf("%d items", n)
}

// numbers words a run of sequence numbers.
func numbers(from, to uint64) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}
