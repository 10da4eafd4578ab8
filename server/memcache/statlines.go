package memcache

// The lines of STATS. Each is "STAT <name> <value>".

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/queue"
)

// statLines appends lines.
type statLines struct {
	out     []byte
	prefix  string // of each line, with the beginning of its name
	between string // its name and its value
	suffix  string // of each line
}

func newStatLines(out []byte) statLines {
	return statLines{out: out, prefix: "STAT ", between: " "}
}

func (l *statLines) text(name, value string) {
	l.out = append(append(l.out, l.prefix...), name...)
	l.out = append(append(l.out, l.between...), value...)
	l.out = append(append(l.out, l.suffix...), "\r\n"...)
}

func (l *statLines) number(name string, n int64)   { l.text(name, strconv.FormatInt(n, 10)) }
func (l *statLines) counter(name string, n uint64) { l.text(name, strconv.FormatUint(n, 10)) }

// seconds writes a time as memcached does: microseconds behind the point, all six digits.
func (l *statLines) seconds(name string, d time.Duration) {
	l.text(name, fmt.Sprintf("%d.%06d", d/time.Second, d%time.Second/time.Microsecond))
}

// refused writes a figure for each reason, and their sum.
func (l *statLines) refused(of func(metrics.Refusal) uint64) {
	sum := uint64(0)
	for r := range metrics.Refusals {
		sum += of(r)
	}
	l.counter("refused", sum)
	for r := range metrics.Refusals {
		l.counter("refused_"+r.String(), of(r))
	}
}

// ofQueue begins the lines of a queue. Those of a name with a colon end in a blank, which readers
// of fields do not notice. Prometheus' memcached exporter skips such a line. Without the blank it
// would take the name for memcached's of a slab, find no number in it, and report the server down.
func (l *statLines) ofQueue(name string) {
	l.prefix, l.suffix = "STAT queue_"+name+"_", ""
	if strings.Contains(name, ":") {
		l.suffix = " "
	}
}

// lines are what the format says of a queue.
func (f StatsFormat) lines() func(*statLines, Queue) {
	if f == StatsDarner {
		return (*statLines).darnerQueue
	}
	return (*statLines).queue
}

// global writes the figures of the server. Their names are memcached's where it has one.
func (l *statLines) global(e *Env, sum queue.Sum) {
	if e.live().Dialect.Stats == StatsDarner {
		l.darnerGlobal(e, sum)
		return
	}
	c := e.Counters
	user, system := e.Usage()
	l.number("uptime", e.Steady()/1000)
	l.number("time", e.Now()/1000)
	l.text("version", e.Version)
	l.number("pid", int64(e.PID))
	l.number("pointer_size", strconv.IntSize)
	l.seconds("rusage_user", user)
	l.seconds("rusage_system", system)
	l.number("threads", int64(e.Threads))
	l.number("curr_items", sum.Items)
	l.counter("total_items", sum.TotalItems)
	l.number("bytes", sum.Bytes)
	l.number("limit_maxbytes", e.live().MaxBytes)
	l.counter("curr_connections", c.Connections.Load())
	l.counter("total_connections", c.TotalConnections.Load())
	l.counter("rejected_connections", c.RejectedConnections.Load())
	l.number("accepting_conns", 1)
	l.counter("listen_disabled_num", c.RejectedConnections.Load())
	l.counter("cmd_get", c.CmdGet.Load())
	l.counter("cmd_set", c.CmdSet.Load())
	l.counter("cmd_peek", c.CmdPeek.Load())
	l.counter("cmd_flush", c.CmdFlush.Load())
	l.counter("get_hits", c.GetHits.Load())
	l.counter("get_misses", c.GetMisses.Load())
	l.counter("delete_hits", c.DeleteHits.Load())
	l.counter("delete_misses", c.DeleteMisses.Load())
	for _, name := range []string{"cas_hits", "cas_misses", "cas_badval"} {
		l.number(name, 0)
	}
	l.counter("bytes_read", c.BytesRead.Load())
	l.counter("bytes_written", c.BytesWritten.Load())
	l.counter("evictions", sum.Discarded)
	l.refused(func(r metrics.Refusal) uint64 { return c.Refused[r].Load() })
	l.counter("queue_creates", sum.Creates)
	l.counter("queue_deletes", sum.Deletes)
	l.counter("queue_expires", sum.Expired)
	l.number("disk_bytes", sum.DiskBytes)
	l.number("disk_limit", sum.DiskLimit)
	l.counter("syncs", sum.Syncs)
	l.number("uncounted_queues", int64(sum.Uncounted))
}

func (l *statLines) queue(of Queue) {
	q := of.Stats()
	failed := "no"
	if q.Failed != "" {
		failed = q.Failed
	}
	l.ofQueue(of.Name())
	l.number("items", q.Items)
	l.number("bytes", q.Bytes)
	l.counter("total_items", q.TotalItems)
	l.number("logsize", q.LogSize)
	l.counter("expired_items", q.Expired)
	l.number("mem_items", 0)
	l.number("mem_bytes", 0)
	l.number("age", q.Age)
	l.number("waiters", int64(q.Waiters))
	l.number("open_transactions", int64(q.Open))
	l.counter("transactions", q.Transactions)
	l.counter("canceled_transactions", q.Canceled)
	l.counter("discarded", q.DiscardedFull+q.DiscardedFlushed)
	l.counter("discarded_full", q.DiscardedFull)
	l.counter("discarded_flushed", q.DiscardedFlushed)
	l.refused(func(r metrics.Refusal) uint64 { return q.Refused[r] })
	l.counter("total_flushes", q.Flushes)
	l.counter("journal_rewrites", q.JournalRewrites)
	l.number("segments", int64(q.Segments))
	l.counter("damaged_records", q.Damaged)
	l.counter("mended_records", q.Mended)
	l.text("failed", failed)
	l.number("create_time", q.Created)
	l.number("moving", q.Moving)
	l.number("delayed_items", q.Delayed)
	l.number("delayed_bytes_of_memory", q.DelayedMemory)
	l.counter("timed_out_transactions", q.TimedOut)
	l.counter("dead_letters", q.DeadLetters)
}

// depth is all that MemcacheQ says of a queue.
func (l *statLines) depth(of Queue) {
	l.number(of.Name(), of.Stats().Items)
}

// darnerGlobal and darnerQueue write what the original Darner does: readers of its figures take
// every name that begins with queue for a queue's, and know no others.
func (l *statLines) darnerGlobal(e *Env, sum queue.Sum) {
	c := e.Counters
	l.number("uptime", e.Steady()/1000)
	l.number("time", e.Now()/1000)
	l.text("version", e.Version)
	l.number("curr_items", sum.Items)
	l.counter("total_items", sum.TotalItems)
	l.counter("curr_connections", c.Connections.Load())
	l.counter("total_connections", c.TotalConnections.Load())
	l.counter("cmd_get", c.CmdGet.Load())
	l.counter("cmd_set", c.CmdSet.Load())
}

func (l *statLines) darnerQueue(of Queue) {
	q := of.Stats()
	l.ofQueue(of.Name())
	l.number("items", q.Items)
	l.number("waiters", int64(q.Waiters))
	l.number("open_transactions", int64(q.Open))
}
