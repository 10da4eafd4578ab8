package config

// What may differ from queue to queue.

import (
	"maps"
	"slices"
)

// Queue is the settings of one queue.
type Queue struct {
	MaxDisk       Size // bytes of disk it may take; 0: no bound
	WhenFull      WhenFull
	Compress      Compress
	CompressLevel int // 1..19
	Parity        int // blocks for every 16, 0..4
}

// settings are those of a queue, named as in its table of the file.
func (q *Queue) settings() []Setting {
	return []Setting{
		{"max-disk", &q.MaxDisk}, {"when-full", &q.WhenFull}, {"compress", &q.Compress},
		{"compress-level", number{&q.CompressLevel}}, {"parity", number{&q.Parity}},
	}
}

// Queue returns the settings in force for a queue: its own, and for what it has none of those of all queues.
func (c Config) Queue(name string) Queue {
	q := c.everyQueue()
	own := c.queues[name]
	for _, s := range q.settings() {
		if text, ok := own[s.Name]; ok {
			s.Value.Set(text) // it was tried when the file was read
		}
	}
	return q
}

// everyQueue is what a queue has that has nothing of its own.
func (c Config) everyQueue() Queue {
	return Queue{MaxDisk: c.QueueMaxDisk, WhenFull: c.WhenFull, Compress: c.Compress, CompressLevel: c.CompressLevel, Parity: c.Parity}
}

// OwnQueues returns the names of queues that have settings of their own, sorted.
func (c Config) OwnQueues() []string { return slices.Sorted(maps.Keys(c.queues)) }
