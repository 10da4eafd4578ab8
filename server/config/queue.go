package config

// Settings that may differ from queue to queue.

import (
	"fmt"
	"time"
)

// Queue has the settings of one queue. In its tables of the file each has a key.
type Queue struct {
	MaxDisk       Size // bytes of disk that it may take, 1 MiB or more; 0: any number
	WhenFull      WhenFull
	Compress      Compress
	CompressLevel int // 1..19
	Parity        int // parity blocks for every 16 blocks, 0..4

	// MaxItems and MaxBytes bound the items in the queue, open ones included, and their payloads;
	// 0: no bound.
	MaxItems int
	MaxBytes Size
	// MaxItemSize is the size of the largest item, at most that of the server; 0: that.
	MaxItemSize Size

	MaxAge         Interval // how long an item may wait; 0: for ever
	ExpireTo       Name     // the queue that expired items are moved to; empty: they are dropped
	MaxExpireSweep int      // expired items that are dropped or moved in one go; 0: any number
	MaxQueueAge    Interval // from which on an empty queue is deleted; 1s or more; 0: never

	MaxOpenReads int      // items that a connection may have open, at least 1
	OpenTimeout  Interval // how long an item may be open; 0: for ever

	MaxDeliveries int      // of an item before it goes to DeadLetter; 0: any number
	DeadLetter    Name     // needs MaxDeliveries; empty: the item is dropped
	RetryDelay    Interval // how long an item that went back waits; 0: not at all
	RetryDelayMax Interval // up to which RetryDelay doubles with each time; 0: it does not

	Delay      Interval // how long new items are not visible; 0: not at all
	MaxDelayed int      // items that may be delayed at a time, at least 1
}

// The defaults and bounds of settings of queues.
const (
	defaultMaxDelayed = 1_000_000

	minTime     = Interval(time.Millisecond)
	minQueueAge = Interval(time.Second)
)

// settings are the settings of a queue, by their names in its tables of the file.
func (q *Queue) settings() []Setting {
	return []Setting{
		{"max-items", number{&q.MaxItems}}, {"max-bytes", &q.MaxBytes},
		{"max-item-size", &q.MaxItemSize}, {"max-disk", &q.MaxDisk}, {"when-full", &q.WhenFull},
		{"max-age", &q.MaxAge}, {"expire-to", &q.ExpireTo},
		{"max-expire-sweep", number{&q.MaxExpireSweep}}, {"max-queue-age", &q.MaxQueueAge},
		{"max-open-reads", number{&q.MaxOpenReads}}, {"open-timeout", &q.OpenTimeout},
		{"max-deliveries", number{&q.MaxDeliveries}}, {"dead-letter", &q.DeadLetter},
		{"retry-delay", &q.RetryDelay}, {"retry-delay-max", &q.RetryDelayMax},
		{"delay", &q.Delay}, {"max-delayed", number{&q.MaxDelayed}},
		{"compress", &q.Compress}, {"compress-level", number{&q.CompressLevel}},
		{"parity", number{&q.Parity}},
	}
}

// queueDefaults are the settings of a queue for which no table says anything.
func (c Config) queueDefaults() Queue {
	return Queue{
		MaxDisk: c.QueueMaxDisk, WhenFull: c.WhenFull,
		Compress: c.Compress, CompressLevel: c.CompressLevel, Parity: c.Parity,
		MaxItemSize: c.MaxItemSize, MaxOpenReads: c.MaxOpenReads,
		MaxDelayed: defaultMaxDelayed,
	}
}

// forAllQueues is the server's setting that is in force where no table sets a queue's; empty: there
// is none.
func forAllQueues(setting string) string {
	switch setting {
	case "max-disk":
		return "queue-max-disk"
	case "when-full", "compress", "compress-level", "parity", "max-item-size", "max-open-reads":
		return setting
	}
	return ""
}

// check reports whether one setting of q is within its bounds.
func (q *Queue) check(setting string, c *Config) error {
	switch setting {
	case "max-disk":
		return zeroOrFrom(q.MaxDisk, minQueueDisk, "no bound")
	case "compress-level":
		return between(q.CompressLevel, 1, 19)
	case "parity":
		return between(q.Parity, 0, 4)
	case "max-items":
		return atLeast(q.MaxItems, 0)
	case "max-item-size":
		if q.MaxItemSize > c.MaxItemSize {
			return fmt.Errorf("%v is more than the server's, %v", q.MaxItemSize, c.MaxItemSize)
		}
	case "max-age":
		return zeroOrFrom(q.MaxAge, minTime, "for ever")
	case "max-expire-sweep":
		return atLeast(q.MaxExpireSweep, 0)
	case "max-queue-age":
		return zeroOrFrom(q.MaxQueueAge, minQueueAge, "never")
	case "max-open-reads":
		return atLeast(q.MaxOpenReads, 1)
	case "open-timeout":
		return zeroOrFrom(q.OpenTimeout, minTime, "for ever")
	case "max-deliveries":
		return atLeast(q.MaxDeliveries, 0)
	case "retry-delay":
		return zeroOrFrom(q.RetryDelay, minTime, "at once")
	case "retry-delay-max":
		return zeroOrFrom(q.RetryDelayMax, minTime, "always retry-delay")
	case "delay":
		return zeroOrFrom(q.Delay, minTime, "at once")
	case "max-delayed":
		return atLeast(q.MaxDelayed, 1)
	}
	return nil
}

func zeroOrFrom[T interface {
	~int64
	fmt.Stringer
}](v, least T, zero string) error {
	if v != 0 && v < least {
		return fmt.Errorf("%v is less than %v; 0 is %s", v, least, zero)
	}
	return nil
}

func between(v, least, most int) error {
	if v < least || v > most {
		return fmt.Errorf("%d is not between %d and %d", v, least, most)
	}
	return nil
}

func atLeast(v, least int) error {
	if v < least {
		return fmt.Errorf("%d is less than %d", v, least)
	}
	return nil
}
