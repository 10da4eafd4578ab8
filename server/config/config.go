// Package config is what an operator can set: the settings of one server, their defaults, and
// what makes them valid.
package config

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config is the settings of one server. Start from Default; the zero value is not valid.
type Config struct {
	Data           string   // directory of the journals; created when missing
	Listen         string   // host or address the TCP port is bound to
	Port           int      // TCP port, 0..65535; 0 takes any free one
	Socket         string   // path of a Unix socket to listen on as well; empty: none
	Sync           Sync     // when items reach stable storage
	SegmentSize    Size     // capacity of a journal segment, 256 KiB..1 GiB
	MaxConnections int      // clients served at a time, at least 1; more are turned away
	TCPUserTimeout Interval // how long what a client was sent may go unacknowledged, 1s or more; 0: as long as the system likes
	TCPKeepalive   Interval // of silence, after which a client's system is asked whether it is there, 1s or more; 0: never
	MaxItemSize    Size     // largest item taken, 1 byte..1 TiB
	InlineMax      Size     // largest item kept inside a segment, 1 byte..1 MiB and a quarter of SegmentSize; larger ones are streamed
	MaxOpenReads   int      // items a connection may have open of one queue, at least 1
	Admin          Admin    // who may use the administrator's commands
	MaxDisk        Size     // bytes of disk that the data directory may take, 4 MiB or more; 0: no bound
	MinFree        AutoSize // bytes of its file system to be left free; 0: none
	ScrubInterval  Interval // how often what is at rest is read and verified; 0: never
	CompactRate    Size     // bytes a second that rewriting in the background may read and write; 0: no bound
	MemoryLimit    AutoSize // bytes of memory that Go's collector is to keep to; 0: none
	Transport      Transport
	Loops          int // goroutines that serve connections where one serves many, 0..64; 0: as fits the machine

	// Of each queue that has none of its own: see Queue.
	QueueMaxDisk  Size
	WhenFull      WhenFull
	Compress      Compress
	CompressLevel int
	Parity        int

	queues   map[string]map[string]string // by queue and key: what the file's tables say
	file     string
	fromFile map[string]bool // settings that are from the file
}

// Setting is one of them by its name: that of its flag and of its key in the file.
type Setting struct {
	Name  string
	Value Value
}

// Settings returns all of c but those of single queues. Setting one sets it in c.
func (c *Config) Settings() []Setting {
	return []Setting{
		{"data", text{&c.Data}}, {"listen", text{&c.Listen}}, {"port", number{&c.Port}}, {"socket", text{&c.Socket}}, {"sync", &c.Sync},
		{"segment-size", &c.SegmentSize}, {"inline-max", &c.InlineMax}, {"max-item-size", &c.MaxItemSize},
		{"max-connections", number{&c.MaxConnections}}, {"tcp-user-timeout", &c.TCPUserTimeout}, {"tcp-keepalive", &c.TCPKeepalive},
		{"max-open-reads", number{&c.MaxOpenReads}}, {"admin-commands", &c.Admin},
		{"max-disk", &c.MaxDisk}, {"queue-max-disk", &c.QueueMaxDisk}, {"min-free", &c.MinFree}, {"when-full", &c.WhenFull},
		{"compress", &c.Compress}, {"compress-level", number{&c.CompressLevel}}, {"parity", number{&c.Parity}},
		{"scrub-interval", &c.ScrubInterval}, {"compact-rate", &c.CompactRate}, {"memory-limit", &c.MemoryLimit},
		{"transport", &c.Transport}, {"loops", number{&c.Loops}},
	}
}

// Setting returns the one of that name, nil when there is none.
func (c *Config) Setting(name string) Value { return find(c.Settings(), name) }

// Default is a server on this machine alone, its data in ./data, that a power cut costs the
// items of the last second at most.
func Default() Config {
	return Config{
		Data:           "data",
		Listen:         "127.0.0.1",
		Port:           22133,
		Sync:           DefaultSync,
		SegmentSize:    16 * MiB,
		MaxConnections: 16384,
		TCPUserTimeout: Interval(2 * time.Minute),
		TCPKeepalive:   Interval(time.Minute),
		MaxItemSize:    1 * GiB,
		InlineMax:      64 * KiB,
		MaxOpenReads:   1,
		MinFree:        Auto,
		ScrubInterval:  Interval(30 * 24 * time.Hour),
		CompactRate:    32 * MiB,
		MemoryLimit:    Auto,
		Transport:      TransportAuto,
		WhenFull:       Reject,
		Compress:       CompressZstd,
		CompressLevel:  1,
		Parity:         1,
	}
}

// The bounds of settings that have some.
const (
	MinSegmentSize = 256 * KiB
	MaxSegmentSize = 1 * GiB
	maxMaxItemSize = 1 * TiB
	maxInlineMax   = 1 * MiB
	minMaxDisk     = 4 * MiB
	minQueueDisk   = 1 * MiB
	minPeerTime    = Interval(time.Second)
	maxPeerTime    = Interval(9 * time.Hour) // a keepalive's bound on Linux is 32,767 s
	maxLoops       = 64
)

// Validate reports everything that is wrong with c, an error per setting.
func (c Config) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		if c.fromFile[setting] {
			setting = c.file + ": " + setting
		}
		errs = append(errs, fmt.Errorf("%s: %s", setting, fmt.Sprintf(format, args...)))
	}
	if c.Data == "" {
		bad("data", "a directory is needed")
	}
	if c.Listen == "" {
		bad("listen", "an address is needed (0.0.0.0 listens on all)")
	}
	if c.Port < 0 || c.Port > math.MaxUint16 {
		bad("port", "%d is not between 0 and %d", c.Port, math.MaxUint16)
	}
	if c.SegmentSize < MinSegmentSize || c.SegmentSize > MaxSegmentSize {
		bad("segment-size", "%v is not between %v and %v", c.SegmentSize, Size(MinSegmentSize), Size(MaxSegmentSize))
	}
	if c.MaxConnections < 1 {
		bad("max-connections", "%d is less than 1", c.MaxConnections)
	}
	for _, s := range []Setting{{"tcp-user-timeout", &c.TCPUserTimeout}, {"tcp-keepalive", &c.TCPKeepalive}} {
		if t := *s.Value.(*Interval); t != 0 && (t < minPeerTime || t > maxPeerTime) {
			bad(s.Name, "%v is not between %v and %v; 0 is none", t, minPeerTime, maxPeerTime)
		}
	}
	if c.MaxItemSize < 1 || c.MaxItemSize > maxMaxItemSize {
		bad("max-item-size", "%v is not between 1 and %v", c.MaxItemSize, Size(maxMaxItemSize))
	}
	if most := min(maxInlineMax, max(c.SegmentSize, MinSegmentSize)/4); c.InlineMax < 1 || c.InlineMax > most {
		bad("inline-max", "%v is not between 1 and %v", c.InlineMax, most)
	}
	if c.MaxOpenReads < 1 {
		bad("max-open-reads", "%d is less than 1", c.MaxOpenReads)
	}
	if c.MaxDisk != 0 && c.MaxDisk < minMaxDisk {
		bad("max-disk", "%v is less than %v; 0 is no bound", c.MaxDisk, Size(minMaxDisk))
	}
	if c.Loops < 0 || c.Loops > maxLoops {
		bad("loops", "%d is not between 0 and %d; 0 fits the machine", c.Loops, maxLoops)
	}
	c.validateQueue(bad, c.everyQueue(), "", "queue-")
	for _, name := range c.OwnQueues() {
		c.validateQueue(bad, c.Queue(name), c.file+": "+tableName(name)+".", "")
	}
	return errors.Join(errs...)
}

// validateQueue names a setting by where it is; that of the bound has another name among those of all queues.
func (c Config) validateQueue(bad func(setting, format string, args ...any), q Queue, at, bound string) {
	all := c.everyQueue()
	wrong := func(ok, inherited bool) bool { return !ok && (at == "" || !inherited) } // what is inherited is told once
	least := max(minQueueDisk, 16*c.InlineMax)                                        // four segments of the least size: space comes back by segments
	if wrong(q.MaxDisk == 0 || q.MaxDisk >= least, q.MaxDisk == all.MaxDisk) {
		bad(at+bound+"max-disk", "%v is less than %v, for items of up to %v in a segment; 0 is no bound", q.MaxDisk, least, c.InlineMax)
	}
	if wrong(q.CompressLevel >= 1 && q.CompressLevel <= 19, q.CompressLevel == all.CompressLevel) {
		bad(at+"compress-level", "%d is not between 1 and 19", q.CompressLevel)
	}
	if wrong(q.Parity >= 0 && q.Parity <= 4, q.Parity == all.Parity) {
		bad(at+"parity", "%d is not between 0 and 4", q.Parity)
	}
}
