// Package config has what an operator can set: the settings of one server, their defaults and their
// bounds.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config has the settings of one server. Start from Default; the zero value is not valid.
type Config struct {
	// Data is the directory of the journals. It is created if missing.
	Data string

	// Listen is the host or address of the TCP port. Port is 0 to 65535; 0 takes any free port.
	Listen string
	Port   int
	// Socket is the path of a Unix socket to listen on as well; empty: none.
	Socket string

	// Sync is when items reach stable storage.
	Sync Sync
	// SegmentSize is the capacity of a journal segment, 256 KiB to 1 GiB.
	SegmentSize Size
	// InlineMax is the size of the largest item that is kept inside a segment, 1 byte to 1 MiB. It
	// is a quarter of a segment where that is less. Larger items are streamed.
	InlineMax Size
	// MaxItemSize is the size of the largest item that is accepted, 1 byte to 1 TiB.
	MaxItemSize Size

	// MaxConnections is how many clients are served at a time, at least 1. Others are refused.
	MaxConnections int
	// TCPUserTimeout is how long data sent to a client may stay unacknowledged, 1s or more; 0
	// leaves that to the system.
	TCPUserTimeout Interval
	// TCPKeepalive is the silence after which the system of a client is probed, 1s or more; 0:
	// never.
	TCPKeepalive Interval
	// MaxOpenReads is how many items of one queue a connection may have open, at least 1.
	MaxOpenReads int
	// MaxOpenAhead is how many items in all a connection may have open when it opens one ahead, up
	// to 1024; 0: it opens none ahead.
	MaxOpenAhead int
	// Admin is who may use the administrator's commands.
	Admin Admin
	// Dialect is whose clients are to work unchanged. It presets the settings of Compat,
	// each of which may be set by itself.
	Dialect Dialect
	Compat

	// Transport is how connections are served. Loops is how many goroutines share them where one
	// serves many, up to 64; 0 fits the machine.
	Transport Transport
	Loops     int

	// MaxDisk is how many bytes of disk the data directory may take, 4 MiB or more; 0: any number.
	MaxDisk Size
	// MinFree is how many bytes of its file system to leave free; 0: none.
	MinFree AutoSize
	// ScrubInterval is how often data at rest is read and verified, 1m or more; 0: never.
	ScrubInterval Interval
	// CompactRate is how many bytes a second the background may read and write to rewrite segments;
	// 0: any number.
	CompactRate Size
	// MemoryLimit is how many bytes of memory Go's collector should keep to, 8 MiB or more; 0: any
	// number.
	MemoryLimit AutoSize

	// These are for every queue for which no table of the file sets them, as are MaxItemSize and
	// MaxOpenReads: see Queue.
	QueueMaxDisk  Size
	WhenFull      WhenFull
	Compress      Compress
	CompressLevel int
	Parity        int

	// Debug is whether the log has more, such as who connects.
	Debug bool

	tables  *tables           // of queues, in the file; nil: none
	sources *Sources          // that Read read; nil: none
	origin  map[string]origin // where each setting was set; by default: not in it
}

// Setting is one setting. Its flag and its key in the file have its name. For its environment
// variable see Variable.
type Setting struct {
	Name  string
	Value Value
}

// Settings returns all settings of c, except those of single queues. To set one sets it in c.
func (c *Config) Settings() []Setting {
	return append([]Setting{
		{"data", text{&c.Data}},
		{"listen", text{&c.Listen}},
		{"port", number{&c.Port}},
		{"socket", text{&c.Socket}},
		{"sync", &c.Sync},
		{"segment-size", &c.SegmentSize},
		{"inline-max", &c.InlineMax},
		{"max-item-size", &c.MaxItemSize},
		{"max-connections", number{&c.MaxConnections}},
		{"tcp-user-timeout", &c.TCPUserTimeout},
		{"tcp-keepalive", &c.TCPKeepalive},
		{"max-open-reads", number{&c.MaxOpenReads}},
		{"max-open-ahead", number{&c.MaxOpenAhead}},
		{"admin-commands", &c.Admin},
		{"dialect", &c.Dialect},
		{"max-disk", &c.MaxDisk},
		{"queue-max-disk", &c.QueueMaxDisk},
		{"min-free", &c.MinFree},
		{"when-full", &c.WhenFull},
		{"compress", &c.Compress},
		{"compress-level", number{&c.CompressLevel}},
		{"parity", number{&c.Parity}},
		{"scrub-interval", &c.ScrubInterval},
		{"compact-rate", &c.CompactRate},
		{"memory-limit", &c.MemoryLimit},
		{"transport", &c.Transport},
		{"loops", number{&c.Loops}},
		{"debug", boolean{&c.Debug}},
	}, c.Compat.settings()...)
}

// restarts are the settings of the server that cannot change while it runs.
var restarts = []string{
	"data", "listen", "port", "socket", "sync", "segment-size", "inline-max",
	"tcp-user-timeout", "tcp-keepalive", "compact-rate", "transport", "loops",
}

// NeedsRestart reports whether a setting of the server can change at its start alone.
func NeedsRestart(setting string) bool { return slices.Contains(restarts, setting) }

// Setting returns the setting of that name; nil if there is none.
func (c *Config) Setting(name string) Value {
	s, _ := find(c.Settings(), name)
	return s.Value
}

func find(settings []Setting, name string) (Setting, bool) {
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return settings[i], true
}

// names returns the names of settings.
func names(settings []Setting) (all []string) {
	for _, s := range settings {
		all = append(all, s.Name)
	}
	return all
}

// Default is a server for this machine alone, with its data in ./data. A power cut costs it the
// items of the last second at most, and those that came while the last sync ran.
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
		InlineMax:      1 * MiB,
		MaxOpenReads:   1,
		MaxOpenAhead:   maxOpenAhead,
		Dialect:        DialectMemcached,
		Compat:         presets[DialectMemcached],
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

// The bounds of settings.
const (
	MinSegmentSize = 256 * KiB
	maxSegmentSize = 1 * GiB
	maxMaxItemSize = 1 * TiB
	maxInlineMax   = 1 * MiB
	minMaxDisk     = 4 * MiB
	minQueueDisk   = 1 * MiB
	minPeerTime    = Interval(time.Second)
	maxPeerTime    = Interval(9 * time.Hour) // a keepalive's bound on Linux is 32,767 s
	minScrub       = Interval(time.Minute)   // each round writes when it was
	minMemory      = 8 * MiB                 // below, the collector runs all the time
	maxLoops       = 64
	maxOpenAhead   = 1024 // to confirm the oldest moves the others
)

// Validate reports everything that is wrong with c, one error for each setting.
func (c Config) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		at := cmp.Or(c.origin[setting], origin{at: setting})
		errs = append(errs, fmt.Errorf("%v: %s", at, fmt.Sprintf(format, args...)))
	}
	if c.Data == "" {
		bad("data", "a directory is needed")
	}
	if c.Listen == "" {
		bad("listen", "an address is needed; 0.0.0.0 listens on all")
	} else if host, port, err := net.SplitHostPort(c.Listen); err == nil {
		bad("listen", "%q has a port: give listen = %q and port = %s",
			c.Listen, cmp.Or(host, "0.0.0.0"), cmp.Or(port, strconv.Itoa(Default().Port)))
	} else if strings.ContainsAny(c.Listen, "[]/ ") {
		bad("listen", "%q is no address: give one as in 127.0.0.1, ::1 or a host's name", c.Listen)
	}
	if c.Port < 0 || c.Port > math.MaxUint16 {
		bad("port", "%d is not between 0 and %d", c.Port, math.MaxUint16)
	}
	if c.SegmentSize < MinSegmentSize || c.SegmentSize > maxSegmentSize {
		bad("segment-size", "%v is not between %v and %v",
			c.SegmentSize, Size(MinSegmentSize), Size(maxSegmentSize))
	}
	if c.MaxConnections < 1 {
		bad("max-connections", "%d is less than 1", c.MaxConnections)
	}
	checkPeerTime := func(setting string, t Interval) {
		switch {
		case t != 0 && (t < minPeerTime || t > maxPeerTime):
			bad(setting, "%v is not between %v and %v; 0 is none", t, minPeerTime, maxPeerTime)
		case t%Interval(time.Second) != 0:
			bad(setting, "%v is not in whole seconds", t)
		}
	}
	checkPeerTime("tcp-user-timeout", c.TCPUserTimeout)
	checkPeerTime("tcp-keepalive", c.TCPKeepalive)
	if c.MaxItemSize < 1 || c.MaxItemSize > maxMaxItemSize {
		bad("max-item-size", "%v is not between 1 and %v", c.MaxItemSize, Size(maxMaxItemSize))
	}
	if c.InlineMax < 1 || c.InlineMax > maxInlineMax {
		bad("inline-max", "%v is not between 1 and %v", c.InlineMax, Size(maxInlineMax))
	}
	if c.MaxOpenReads < 1 {
		bad("max-open-reads", "%d is less than 1", c.MaxOpenReads)
	}
	if c.MaxOpenAhead < 0 || c.MaxOpenAhead > maxOpenAhead {
		bad("max-open-ahead", "%d is not between 0 and %d", c.MaxOpenAhead, maxOpenAhead)
	}
	if c.MaxDisk != 0 && c.MaxDisk < minMaxDisk {
		bad("max-disk", "%v is less than %v; 0 is no bound", c.MaxDisk, Size(minMaxDisk))
	}
	if c.MemoryLimit > 0 && c.MemoryLimit < minMemory {
		bad("memory-limit", "%v is less than a server needs, %v; 0 is no bound",
			c.MemoryLimit, Size(minMemory))
	}
	if c.ScrubInterval != 0 && c.ScrubInterval < minScrub {
		bad("scrub-interval", "%v is less than %v; 0 is never", c.ScrubInterval, minScrub)
	}
	if c.Loops < 0 || c.Loops > maxLoops {
		bad("loops", "%d is not between 0 and %d; 0 fits the machine", c.Loops, maxLoops)
	}
	c.validateCompat(bad)
	for _, setting := range []string{"max-disk", "compress-level", "parity"} {
		q := c.queueDefaults()
		if err := q.check(setting, &c); err != nil {
			bad(forAllQueues(setting), "%v", err)
		}
	}
	return errors.Join(append(errs, c.validateTables()...)...)
}
