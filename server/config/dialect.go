package config

// Dialects: where servers that clients were made for differ in what they say. A dialect presets the
// settings of this file; each can be set by itself, and then wins.

// Dialect is a server whose clients are to work unchanged.
type Dialect string

const (
	DialectMemcached Dialect = "memcached"
	DialectKestrel   Dialect = "kestrel"
	DialectDarner    Dialect = "darner" // the original, of 2012
	DialectSiberite  Dialect = "siberite"
)

func (d Dialect) String() string { return string(d) }

// Set parses text into d.
func (d *Dialect) Set(text string) error {
	return choose(d, text, DialectMemcached, DialectKestrel, DialectDarner, DialectSiberite)
}

// FlushAllAnswer is the answer to flush_all.
type FlushAllAnswer string

const (
	FlushAllOK      FlushAllAnswer = "ok"      // OK, as memcached's clients wait for
	FlushAllFlushed FlushAllAnswer = "flushed" // Flushed all queues.
)

func (f FlushAllAnswer) String() string { return string(f) }

// Set parses text into f.
func (f *FlushAllAnswer) Set(text string) error {
	return choose(f, text, FlushAllOK, FlushAllFlushed)
}

// StatsFormat is what stats answers.
type StatsFormat string

const (
	StatsFull   StatsFormat = "full"
	StatsServer StatsFormat = "server" // the lines of the server, and none of queues
	StatsDarner StatsFormat = "darner" // the few lines of the original, and no others
)

func (f StatsFormat) String() string { return string(f) }

// Set parses text into f.
func (f *StatsFormat) Set(text string) error {
	return choose(f, text, StatsFull, StatsServer, StatsDarner)
}

// Close is what /close and /abort act on.
type Close string

const (
	CloseQueue      Close = "queue"      // an item of the queue that they name
	CloseConnection Close = "connection" // what the connection has open, whatever they name
)

func (c Close) String() string { return string(c) }

// Set parses text into c.
func (c *Close) Set(text string) error { return choose(c, text, CloseQueue, CloseConnection) }

// EchoKey is the key in an answer.
type EchoKey string

const (
	EchoName  EchoKey = "name"  // the queue's name
	EchoAsked EchoKey = "asked" // the key as it was asked for, options included
)

func (e EchoKey) String() string { return string(e) }

// Set parses text into e.
func (e *EchoKey) Set(text string) error { return choose(e, text, EchoName, EchoAsked) }

// Compat are the settings that a dialect presets.
type Compat struct {
	FlushAllAnswer FlushAllAnswer // without a delay; with one it is OK
	// ReportedVersion is the answer to version, one word of at most 64 bytes; empty: the server's.
	ReportedVersion string
	StatsFormat     StatsFormat
	// RelativeExptimeMax is the longest exptime that counts from now, 0 to 2^31-1 seconds. A larger
	// one is a Unix time.
	RelativeExptimeMax int
	Close              Close
	EchoKey            EchoKey
}

const month = 30 * 24 * 60 * 60 // seconds

var presets = map[Dialect]Compat{
	DialectMemcached: {FlushAllOK, "", StatsFull, month, CloseQueue, EchoName},
	DialectKestrel:   {FlushAllFlushed, "2.4.1", StatsFull, 1_000_000, CloseQueue, EchoName},
	DialectDarner:    {FlushAllFlushed, "", StatsDarner, month, CloseConnection, EchoName},
	DialectSiberite:  {FlushAllFlushed, "", StatsFull, month, CloseConnection, EchoName},
}

// settings are the settings that a dialect presets.
func (s *Compat) settings() []Setting {
	return []Setting{
		{"flush-all-answer", &s.FlushAllAnswer},
		{"reported-version", text{&s.ReportedVersion}},
		{"stats-format", &s.StatsFormat},
		{"relative-exptime-max", number{&s.RelativeExptimeMax}},
		{"close", &s.Close},
		{"echo-key", &s.EchoKey},
	}
}

// preset sets what the dialect says, except for what was set by itself.
func (c *Config) preset() {
	of := presets[c.Dialect]
	for _, s := range of.settings() {
		if !c.IsGiven(s.Name) {
			c.Setting(s.Name).Set(s.Value.String())
		}
	}
}

// validateCompat reports what is wrong with the settings of this file.
func (c Config) validateCompat(bad func(setting, format string, args ...any)) {
	const longest = 64
	if v := c.ReportedVersion; len(v) > longest || !isWord(v) {
		bad("reported-version", "%q is not one word of at most %d bytes, as in 1.6.21", v, longest)
	}
	if s := c.RelativeExptimeMax; s < 0 || s > 1<<31-1 {
		bad("relative-exptime-max", "%d is not between 0 and %d seconds", s, 1<<31-1)
	}
}

// isWord reports whether text can stand in an answer as one word; the empty text can.
func isWord(text string) bool {
	for _, b := range []byte(text) {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}
