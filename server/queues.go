package server

// What the configuration says of queues, as package queue takes it.

import (
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

// queueSettings returns a function for the settings in force for each queue. Queues with the same
// ones share them.
func queueSettings(c config.Config) func(name string) *queue.Settings {
	return config.Shared(c, func(q config.Queue) *queue.Settings {
		s := &queue.Settings{
			MaxDisk:     int64(q.MaxDisk),
			Discard:     q.WhenFull == config.DiscardOldest,
			SegmentSize: int64(queueSegmentSize(c, q.MaxDisk)),
			Cold:        coldOptions(q),

			MaxItems: int64(q.MaxItems),
			MaxBytes: int64(q.MaxBytes),

			MaxAge:         time.Duration(q.MaxAge),
			ExpireTo:       string(q.ExpireTo),
			MaxExpireSweep: q.MaxExpireSweep,
			MaxQueueAge:    time.Duration(q.MaxQueueAge),

			MaxOpenReads: q.MaxOpenReads,
			OpenTimeout:  time.Duration(q.OpenTimeout),

			MaxDeliveries: q.MaxDeliveries,
			DeadLetter:    string(q.DeadLetter),
			RetryDelay:    time.Duration(q.RetryDelay),
			RetryDelayMax: time.Duration(q.RetryDelayMax),

			Delay:      time.Duration(q.Delay),
			MaxDelayed: q.MaxDelayed,
		}
		if q.MaxItemSize < c.MaxItemSize { // else the server's is the one to name
			s.MaxItemSize = int64(q.MaxItemSize)
		}
		return s
	})
}

// coldOptions say how a queue keeps segments that are not read soon.
func coldOptions(q config.Queue) *wal.Cold {
	codecs := map[config.Compress]wal.Cold{
		config.CompressZstd: {Codec: segment.CodecZstd, Level: q.CompressLevel},
		config.CompressS2:   {Codec: segment.CodecS2},
		config.CompressNone: {Codec: segment.CodecNone},
	}
	c := codecs[q.Compress]
	c.Parity = q.Parity
	return &c
}
