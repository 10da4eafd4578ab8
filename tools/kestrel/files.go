package kestrel

// Which files of a directory are whose journals, and in what order they are replayed.

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/darner/darner/segment/disk"
)

// Queue is a queue and its files, in the order in which they are replayed.
type Queue struct {
	Name  string
	Files []string // names in the directory
}

// journal is what the name of a file says: cars, cars.123 or cars.123.pack.
type journal struct {
	file, queue string
	current     bool // no time: the newest
	time        uint64
	pack        bool // stands for all files of its time and before
}

// Queues lists the queues of a Kestrel directory by name, and the files that are no journals.
// Those with ~~ in their names are temporary, and neither.
func Queues(fsys disk.FS, dir string) (queues []Queue, foreign []string, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	found := map[string][]journal{}
	for _, e := range entries {
		j, ok := parse(e.Name)
		switch {
		case strings.Contains(e.Name, "~~"):
		case ok && !e.Dir:
			found[j.queue] = append(found[j.queue], j)
		default:
			foreign = append(foreign, e.Name)
		}
	}
	for name, journals := range found {
		queues = append(queues, Queue{name, replayOrder(journals)})
	}
	slices.SortFunc(queues, func(a, b Queue) int { return cmp.Compare(a.Name, b.Name) })
	return queues, foreign, nil
}

// parse reads a file's name. Names of queues have no dots.
func parse(file string) (j journal, ok bool) {
	j.file = file
	rest, pack := strings.CutSuffix(file, ".pack")
	name, time, timed := strings.Cut(rest, ".")
	j.queue, j.pack, j.current = name, pack, !timed
	if name == "" || pack && !timed {
		return j, false
	}
	var err error
	if timed {
		j.time, err = strconv.ParseUint(time, 10, 63)
	}
	return j, err == nil
}

// replayOrder sorts a queue's files and leaves out those that a packed one stands for.
func replayOrder(journals []journal) (files []string) {
	packed, isPacked := uint64(0), false
	for _, j := range journals {
		if j.pack && (!isPacked || j.time > packed) {
			packed, isPacked = j.time, true
		}
	}
	slices.SortFunc(journals, func(a, b journal) int {
		if a.current != b.current {
			return map[bool]int{true: 1, false: -1}[a.current]
		}
		return cmp.Compare(a.time, b.time)
	})
	for _, j := range journals {
		stood := isPacked && !j.current && j.time <= packed && !(j.pack && j.time == packed)
		if !stood {
			files = append(files, j.file)
		}
	}
	return files
}
