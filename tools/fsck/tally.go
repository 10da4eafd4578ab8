package fsck

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// How many findings of one kind are listed for a queue. Others are only counted: a million
// leftovers must fill neither the memory nor the screen.
const (
	maxNotes  = 10
	maxDamage = 1000
)

// tally passes a queue's findings on and counts them.
type tally struct {
	queue   string
	emit    func(Finding)
	left    bool // it counts what a repair has left
	lenient bool // what is damaged is of no use to anybody: it counts as a Note
	counts  map[Severity]int
	seen    map[group]*groupCount
}

// group is what findings that are counted together have in common.
type group struct {
	severity Severity
	kind     Kind
}

// groupCount counts the findings of a group.
type groupCount struct {
	n, listed int
	items     uint64 // items lost in those that are not listed
}

func newTally(queue string, emit func(Finding)) *tally {
	return &tally{queue: queue, emit: emit, counts: make(map[Severity]int),
		seen: make(map[group]*groupCount)}
}

// note adds a Note about a file.
func (t *tally) note(file string, kind Kind, format string, args ...any) {
	t.add(Finding{File: file, Severity: Note, Kind: kind, What: fmt.Sprintf(format, args...)})
}

// damage adds a Damage of a file.
func (t *tally) damage(file string, kind Kind, format string, args ...any) {
	t.add(Finding{File: file, Severity: Damage, Kind: kind, What: fmt.Sprintf(format, args...)})
}

// add counts a finding, and passes it on unless there were many of its kind.
func (t *tally) add(f Finding) {
	if t.lenient && f.Severity == Damage {
		f.Severity = Note
	}
	t.counts[f.Severity]++
	key := group{f.Severity, f.Kind}
	c := t.seen[key]
	if c == nil {
		c = new(groupCount)
		t.seen[key] = c
	}
	c.n++
	limit := maxDamage
	if f.Severity == Note || t.left { // what is left is listed already
		limit = maxNotes
	}
	if c.listed >= limit {
		c.items += f.Items
		return
	}
	c.listed++
	t.pass(f)
}

// finish reports how many findings were not listed.
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

// items writes a number of items.
func items(n uint64) string {
	if n == 1 {
		return "1 item"
	}
	return fmt.Sprintf("%d items", n)
}

// numbers writes a range of sequence numbers.
func numbers(from, to uint64) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}
