package config

// What is wrong with tables that meet: settings that contradict each other, and queues that pass
// items around in a circle.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// validateTables reports everything that is wrong with the tables, at its place in the file.
func (c Config) validateTables() (errs []error) {
	ts := c.rules()
	for _, t := range ts.all {
		errs = append(errs, c.checkKeys(t)...)
	}
	told := make(map[string]bool)
	tell := func(at origin, format string, args ...any) {
		if err := fmt.Errorf("%v: %w", at, fmt.Errorf(format, args...)); !told[err.Error()] {
			told[err.Error()] = true
			errs = append(errs, err)
		}
	}
	for _, t := range ts.all {
		checkTogether(ts.chainOf(t), tell)
	}
	c.checkLoops(tell)
	return errs
}

// checkKeys reports which settings of a table are out of their bounds.
func (c Config) checkKeys(t *table) (errs []error) {
	for _, s := range new(Queue).settings() { // in an order that does not change
		e, ok := t.keys[s.Name]
		if !ok {
			continue
		}
		var q Queue
		own, _ := find(q.settings(), s.Name)
		own.Value.Set(e.text)
		if err := q.check(s.Name, &c); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", e.at, err))
		}
	}
	return errs
}

// checkTogether reports settings of a chain that contradict each other.
func checkTogether(chain []*table, tell func(at origin, format string, args ...any)) {
	var q Queue
	of := func(setting string) (entry, int) {
		e, at := lookUp(chain, setting)
		if at < len(chain) {
			own, _ := find(q.settings(), setting)
			own.Value.Set(e.text)
		}
		return e, at
	}
	dead, deadAt := of("dead-letter")
	_, deliveriesAt := of("max-deliveries")
	if q.DeadLetter != "" && q.MaxDeliveries == 0 && deliveriesAt >= deadAt {
		tell(dead.at, "it needs max-deliveries: after so many an item goes to %s", q.DeadLetter)
	}
	delay, delayAt := of("retry-delay")
	most, mostAt := of("retry-delay-max")
	if q.RetryDelayMax != 0 && q.RetryDelayMax < q.RetryDelay {
		if delayAt < mostAt {
			most = delay
		}
		tell(most.at, "retry-delay is %v, and more than retry-delay-max, %v", q.RetryDelay,
			q.RetryDelayMax)
	}
}

// hop is how a queue passes items on.
type hop struct {
	from, setting, to string
	at                origin
}

// hops returns where a queue passes items on to.
func (c Config) hops(name string) (hops []hop) {
	chain := c.rules().chain(nil, name)
	q := c.resolve(chain)
	add := func(setting string, to Name) {
		if to != "" {
			e, _ := lookUp(chain, setting)
			hops = append(hops, hop{name, setting, string(to), e.at})
		}
	}
	add("expire-to", q.ExpireTo)
	if q.MaxDeliveries > 0 {
		add("dead-letter", q.DeadLetter)
	}
	return hops
}

// checkLoops reports circles. Every queue of a circle is the target of a setting, so these are all
// there are, whatever queues match the patterns.
func (c Config) checkLoops(tell func(at origin, format string, args ...any)) {
	walk := loopWalk{hops: c.hops, done: make(map[string]bool), tell: tell}
	for _, t := range c.rules().all {
		for _, setting := range []string{"expire-to", "dead-letter"} {
			var to Name
			if e, ok := t.keys[setting]; ok && to.Set(e.text) == nil && to != "" {
				walk.from(string(to))
			}
		}
	}
}

// loopWalk follows hops, each queue once.
type loopWalk struct {
	hops func(name string) []hop
	way  []hop // to where it is
	done map[string]bool
	tell func(at origin, format string, args ...any)
}

func (w *loopWalk) from(name string) {
	if w.done[name] {
		return
	}
	w.done[name] = true
	for _, h := range w.hops(name) {
		w.way = append(w.way, h)
		i := slices.IndexFunc(w.way, func(on hop) bool { return on.from == h.to })
		if i >= 0 {
			w.tellLoop(w.way[i:])
		} else {
			w.from(h.to)
		}
		w.way = w.way[:len(w.way)-1]
	}
}

func (w *loopWalk) tellLoop(loop []hop) {
	last := loop[len(loop)-1]
	none := `expire-to = ""`
	if last.setting == "dead-letter" {
		none = "max-deliveries = 0"
	}
	var b strings.Builder
	for _, h := range loop {
		fmt.Fprintf(&b, "%s %s ", escape(h.from), h.setting)
	}
	b.WriteString(escape(last.to))
	w.tell(last.at, "items would go in a circle (%s); give [queue.%s] %s of its own to end it", &b,
		strconv.Quote(pattern.String(tokensOf(nil, last.from))), none)
}
