package config

// Settings that may differ from queue to queue.

import (
	"maps"
	"slices"
)

// Queue has the settings of one queue.
type Queue struct {
	MaxDisk       Size // bytes of disk that it may take; 0: any number
	WhenFull      WhenFull
	Compress      Compress
	CompressLevel int // 1..19
	Parity        int // parity blocks for every 16 blocks, 0..4
}

// settings are the settings of a queue, by their names in its table of the file.
func (q *Queue) settings() []Setting {
	return []Setting{
		{"max-disk", &q.MaxDisk}, {"when-full", &q.WhenFull}, {"compress", &q.Compress},
		{"compress-level", number{&q.CompressLevel}}, {"parity", number{&q.Parity}},
	}
}

// Queue returns the settings in force for a queue: its own, and otherwise those of all queues.
func (c Config) Queue(name string) Queue {
	q := c.queueDefaults()
	own := c.queues[name]
	for _, s := range q.settings() {
		if text, ok := own[s.Name]; ok {
			s.Value.Set(text) // parseValue has checked it
		}
	}
	return q
}

// QueueSettings returns the settings of Queue by their names in its table of the file.
func (c Config) QueueSettings(name string) []Setting {
	q := c.Queue(name)
	return q.settings()
}

// queueDefaults are the settings of a queue that has none of its own.
func (c Config) queueDefaults() Queue {
	return Queue{
		MaxDisk: c.QueueMaxDisk, WhenFull: c.WhenFull,
		Compress: c.Compress, CompressLevel: c.CompressLevel, Parity: c.Parity,
	}
}

// OwnQueues returns the names of queues that have settings of their own, sorted.
func (c Config) OwnQueues() []string { return slices.Sorted(maps.Keys(c.queues)) }
