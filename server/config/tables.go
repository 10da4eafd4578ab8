package config

// The tables of the file with settings of queues, and which of them are in force for a queue: the
// one of its name, then patterns, those with the longest text before a wildcard first, then, for a
// fan-out child, those of its parent, then [default]. Each key is from the first that sets it.

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// table is one table of the file.
type table struct {
	id   int // its place among all
	at   origin
	of   pattern // empty: [default]
	keys map[string]entry
}

// entry is a setting in a table.
type entry struct {
	text string // its setting takes it
	at   origin
}

// path is the table as errors name it.
func (t *table) path() string {
	if len(t.of) == 0 {
		return defaultTable
	}
	return queueTables + "." + strconv.Quote(t.of.String())
}

// tables are all tables.
type tables struct {
	all      []*table // in the order of the file
	base     *table   // [default]
	names    map[string]*table
	patterns map[string][]*table // by what stands before the first wildcard
	lengths  []int               // of that, the longest first
}

var noTables = newTables()

func newTables() *tables {
	return &tables{
		base: &table{keys: map[string]entry{}}, names: map[string]*table{},
		patterns: map[string][]*table{},
	}
}

// rules are the tables of c.
func (c *Config) rules() *tables { return cmp.Or(c.tables, noTables) }

// add enters a table. It returns one that is in its way: of the same name, or a pattern that is as
// specific and that some name matches as well.
func (ts *tables) add(t *table) (other *table) {
	t.id = len(ts.all)
	if len(t.of) == 0 {
		ts.base = t
		ts.all = append(ts.all, t)
		return nil
	}
	prefix := t.of.prefix()
	if t.of.isName() {
		if other := ts.names[prefix]; other != nil {
			return other
		}
		ts.names[prefix] = t
		ts.all = append(ts.all, t)
		return nil
	}
	for _, other := range ts.patterns[prefix] {
		if other.of.overlaps(t.of) {
			return other
		}
	}
	if i, has := slices.BinarySearchFunc(ts.lengths, len(prefix), longestFirst); !has {
		ts.lengths = slices.Insert(ts.lengths, i, len(prefix))
	}
	ts.patterns[prefix] = append(ts.patterns[prefix], t)
	ts.all = append(ts.all, t)
	return nil
}

func longestFirst(a, b int) int { return cmp.Compare(b, a) }

// chain appends the tables in force for a queue, the most specific first.
func (ts *tables) chain(to []*table, name string) []*table {
	own := ts.matching(to, name)
	if parent, ok := parentOf(name); ok {
		inherited := ts.matching(nil, parent)
		own = slices.DeleteFunc(own, func(t *table) bool { return slices.Contains(inherited, t) })
		own = append(own, inherited...)
	}
	return append(own, ts.base)
}

// matching appends the tables whose name or pattern is that of a queue, the most specific first.
func (ts *tables) matching(to []*table, name string) []*table {
	if t := ts.names[name]; t != nil {
		to = append(to, t)
	}
	var buf [256]token
	var tokens pattern
	for _, n := range ts.lengths {
		if n > len(name) {
			continue
		}
		for _, t := range ts.patterns[name[:n]] {
			if tokens == nil {
				tokens = tokensOf(buf[:0], name)
			}
			if t.of.matches(tokens) {
				to = append(to, t)
				break // no other of this prefix: see add
			}
		}
	}
	return to
}

// parentOf returns the queue whose fan-out child a queue is by its name.
func parentOf(name string) (parent string, ok bool) {
	parent, child, ok := strings.Cut(name, "+")
	return parent, ok && parent != "" && child != ""
}

// chainOf returns the tables in force for all queues that a table is for, the most specific first:
// itself, those that are for more queues, and [default].
func (ts *tables) chainOf(t *table) []*table {
	if t == ts.base {
		return []*table{t}
	}
	if t.of.isName() {
		return ts.chain(nil, t.of.text())
	}
	chain := []*table{t}
	prefix := t.of.prefix()
	for _, n := range ts.lengths {
		if n > len(prefix) {
			continue
		}
		for _, wider := range ts.patterns[prefix[:n]] {
			if wider != t && wider.of.matches(t.of) {
				chain = append(chain, wider)
			}
		}
	}
	if parent, ok := parentOf(prefix + "*"); ok {
		for _, of := range ts.matching(nil, parent) {
			if !slices.Contains(chain, of) {
				chain = append(chain, of)
			}
		}
	}
	return append(chain, ts.base)
}

// lookUp returns the setting in the first table that sets it, and that table's place in the chain;
// len(chain) if none does.
func lookUp(chain []*table, setting string) (entry, int) {
	for i, t := range chain {
		if e, ok := t.keys[setting]; ok {
			return e, i
		}
	}
	return entry{}, len(chain)
}

// resolve returns the settings that tables say, and otherwise those of all queues.
func (c *Config) resolve(chain []*table) Queue {
	q := c.queueDefaults()
	for _, s := range q.settings() {
		if e, i := lookUp(chain, s.Name); i < len(chain) {
			s.Value.Set(e.text) // parseOwn has checked it
		}
	}
	if q.MaxItemSize == 0 || q.MaxItemSize > c.MaxItemSize {
		q.MaxItemSize = c.MaxItemSize
	}
	if q.RetryDelayMax < q.RetryDelay { // 0, or of tables that meet at this name alone
		q.RetryDelayMax = q.RetryDelay
	}
	return q
}

// Queue returns the settings in force for a queue.
func (c Config) Queue(name string) Queue { return c.resolve(c.rules().chain(nil, name)) }

// QueueSettings returns the settings of Queue by their names in its table of the file.
func (c Config) QueueSettings(name string) []Setting {
	q := c.Queue(name)
	return q.settings()
}

// OwnQueues returns the names of queues that have a table of their own, sorted.
func (c Config) OwnQueues() []string { return slices.Sorted(maps.Keys(c.rules().names)) }

// Table has the settings in force for the queues of one table of the file.
type Table struct {
	Name     string // default, or queue.NAME, with the name or pattern as it may stand in the file
	Queue    Queue
	Settings []Setting // of Queue
}

// Tables returns [default], as it is in force without the file too, and then the other tables in
// the order of the file.
func (c Config) Tables() []Table {
	ts := c.rules()
	list := []Table{{Name: defaultTable, Queue: c.resolve([]*table{ts.base})}}
	for _, t := range ts.all {
		if t != ts.base {
			list = append(list, Table{
				Name: queueTables + "." + t.of.String(), Queue: c.resolve(ts.chainOf(t)),
			})
		}
	}
	for i := range list {
		list[i].Settings = list[i].Queue.settings()
	}
	return list
}

// maxShared is how many combinations of tables Shared remembers. Clients choose names, so they may
// meet many.
const maxShared = 1024

// Shared returns a function that returns what of makes of the settings of a queue, by its name.
// Queues for which the same tables are in force share it. Any goroutine may call the function.
func Shared[T any](c Config, of func(Queue) T) func(name string) T {
	var mu sync.Mutex
	shared := make(map[string]T)
	return func(name string) T {
		var tables [16]*table
		var buf [64]byte
		chain := c.rules().chain(tables[:0], name)
		key := buf[:0]
		for _, t := range chain {
			key = binary.AppendUvarint(key, uint64(t.id))
		}
		mu.Lock()
		defer mu.Unlock()
		if v, ok := shared[string(key)]; ok {
			return v
		}
		if len(shared) >= maxShared {
			clear(shared)
		}
		v := of(c.resolve(chain))
		shared[string(key)] = v
		return v
	}
}
