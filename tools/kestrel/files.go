package kestrel

// Which files in a directory belong to which queue, and the order in which they are replayed.

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

// journal is what a file's name says: cars, cars.123 or cars.123.pack.
type journal struct {
	file, queue string
	current     bool // the newest file, whose name has no time
	time        uint64
	pack        bool // replaces all files of its time and earlier
}

// Queues lists the queues of a Kestrel directory by name, and the files that are not journals. It
// leaves out files with ~~ in their names, which are temporary.
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

// parse reads a file's name. Queue names contain no dots.
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

// replayOrder sorts a queue's files, and leaves out those that a packed file replaces.
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
		replaced := isPacked && !j.current && j.time <= packed && !(j.pack && j.time == packed)
		if !replaced {
			files = append(files, j.file)
		}
	}
	return files
}
