package config

// A configuration for people: each value with where it is from, and what differs between two.

import (
	"maps"
	"slices"
	"strings"

	"github.com/darner/darner/wal/datadir"
)

// Shown is a setting, its value, and where that is from: default, the dialect, the file and line,
// the environment variable or the flag.
type Shown struct{ Name, Value, From string }

// Show returns the settings of the server.
func (c Config) Show() (list []Shown) {
	for _, s := range c.Settings() {
		list = append(list, Shown{s.Name, s.Value.String(), c.from(s.Name)})
	}
	return list
}

// ShowQueue returns the settings in force for a queue. Of those from a table of the file the table
// is named. The error is for a name that no queue can have.
func (c Config) ShowQueue(name string) (list []Shown, err error) {
	if err := datadir.CheckName(name); err != nil {
		return nil, err
	}
	chain := c.rules().chain(nil, name)
	q := c.resolve(chain)
	for _, s := range q.settings() {
		from := c.from(forAllQueues(s.Name))
		if e, i := lookUp(chain, s.Name); i < len(chain) {
			from = e.at.at + " [" + chain[i].path() + "]"
		}
		list = append(list, Shown{s.Name, s.Value.String(), from})
	}
	return list, nil
}

// from is where a setting of the server is from.
func (c Config) from(name string) string {
	if at := c.origin[name].at; at != "" {
		return at
	}
	if _, of := find(new(Compat).settings(), name); of && c.Dialect != Default().Dialect {
		return "dialect " + c.Dialect.String()
	}
	return "default"
}

// Changes names what differs between two configurations: settings of the server, and keys of
// tables, with these.
func Changes(before, after Config) (server, ofTables []string) {
	was := before.Settings()
	for i, s := range after.Settings() {
		if s.Value.String() != was[i].Value.String() {
			server = append(server, s.Name)
		}
	}
	old, fresh := before.rules().entries(), after.rules().entries()
	changed := make(map[string]bool)
	for key, text := range fresh {
		if was, ok := old[key]; !ok || was != text {
			changed[key] = true
		}
	}
	for key := range old {
		if _, ok := fresh[key]; !ok {
			changed[key] = true
		}
	}
	return server, slices.Sorted(maps.Keys(changed))
}

// entries returns what all tables say, by table and key.
func (ts *tables) entries() map[string]string {
	all := make(map[string]string)
	for _, t := range ts.all {
		for name, e := range t.keys {
			all[t.path()+"."+name] = e.text
		}
	}
	return all
}

// Count returns how many settings the file, the environment and the flags set, and how many tables
// of queues there are.
func (c Config) Count() (settings, queueTables int) {
	settings = len(c.origin)
	for _, t := range c.rules().all {
		settings += len(t.keys)
	}
	return settings, len(c.rules().all)
}

// Lines returns all errors of Read, each with its place.
func Lines(err error) []string { return strings.Split(err.Error(), "\n") }
