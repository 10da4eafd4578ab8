package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "darner.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheFileSetsWhatTheFlagsDo(t *testing.T) {
	c, err := Read(Sources{File: file(t, `
data = "/var/lib/darner"
port = 1234
sync = "always"
segment-size = "4MiB"
inline-max = 4096
max-disk = "512MiB"
queue-max-disk = "64MiB"
min-free = 0
when-full = "discard-oldest"
compress = "s2"
compress-level = 7
parity = 2
scrub-interval = "24h"
tcp-user-timeout = "30s"
tcp-keepalive = "0"
compact-rate = "1MiB"
memory-limit = "48MiB"
transport = "portable"
loops = 2
admin-commands = "local"
debug = true

[queue.orders]
max-disk = "2MiB"
when-full = "reject"

[queue."a b"]
`)})
	if err == nil || !strings.Contains(err.Error(), `queue."a b"`) ||
		strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v, want an error about the name with a space alone", err)
	}
	texts := map[string]string{
		"data": "/var/lib/darner", "port": "1234", "sync": "always", "segment-size": "4MiB",
		"inline-max": "4KiB", "max-disk": "512MiB", "queue-max-disk": "64MiB", "min-free": "0",
		"when-full": "discard-oldest", "compress": "s2", "compress-level": "7", "parity": "2",
		"scrub-interval": "24h0m0s", "tcp-user-timeout": "30s", "tcp-keepalive": "0",
		"compact-rate": "1MiB", "memory-limit": "48MiB", "transport": "portable", "loops": "2",
		"admin-commands": "local", "listen": "127.0.0.1", "debug": "true",
	}
	for name, text := range texts {
		if got := c.Setting(name).String(); got != text {
			t.Errorf("%s: got %s, want %s", name, got, text)
		}
	}
	own := func(q Queue) [5]any {
		return [5]any{q.MaxDisk, q.WhenFull, q.Compress, q.CompressLevel, q.Parity}
	}
	if got, want := own(c.Queue("orders")), [5]any{Size(2 * MiB), Reject, CompressS2, 7, 2}; got != want {
		t.Errorf("orders: got %v, want %v", got, want)
	}
	got, want := own(c.Queue("other")), [5]any{Size(64 * MiB), DiscardOldest, CompressS2, 7, 2}
	if got != want {
		t.Errorf("another queue: got %v, want %v", got, want)
	}
}

func TestAFlagWinsOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	c, err := Read(Sources{
		File: file(t, "port = 2\nparity = 9\nlisten = \"::1\"\nloops = 4\ncompact-rate = 1\n"+
			"[queue.q]\ncompress-level = 3\n"),
		Environ: []string{"DARNER_PORT=3", "DARNER_PARITY=4", "DARNER_LOOPS=", "DARNER_DEBUG=1",
			"DARNER_COMPACT_RATE=2k", "PORT=9"},
		Flags: map[string]string{"port": "1", "debug": "false"},
	})
	if err != nil || c.Port != 1 || c.Listen != "::1" || c.Parity != 4 || c.Loops != 4 ||
		c.Debug || c.CompactRate != 2048 {
		t.Errorf("got %+v, %v, want port 1, listen ::1, parity 4, 4 loops, no debug, rate 2048", c,
			err)
	}
	if q := c.Queue("q"); q.Parity != 4 || q.CompressLevel != 3 {
		t.Errorf("got %v for the queue, want parity 4 and level 3", q)
	}
	for name, given := range map[string]bool{"port": true, "parity": true, "listen": true,
		"data": false, "debug": true} {
		if c.IsGiven(name) != given {
			t.Errorf("%s: got given %v, want %v", name, !given, given)
		}
	}
}

func TestWhatIsWrongInTheFileIsNamed(t *testing.T) {
	for content, want := range map[string]string{
		"port = 1\nport = ":                    "unexpected EOF",
		"port = 1\nport = 2":                   "Key 'port' has already been defined",
		"prot = 1":                             "prot: there is no such setting",
		"port = \"1\"":                         "port: give a whole number",
		"port = 1.5":                           "port: give a whole number",
		"data = 1":                             "data: give text",
		"sync = 1":                             "sync: give text",
		"max-disk = true":                      "max-disk: give a number of bytes, or text",
		"max-disk = \"big\"":                   "max-disk: \"big\" is not a size",
		"max-disk = -1":                        "max-disk: ",
		"min-free = \"some\"":                  "min-free: ",
		"scrub-interval = \"-1h\"":             "scrub-interval: ",
		"tcp-user-timeout = \"10ms\"":          "tcp-user-timeout: 10ms is not between 1s and 9h0m0s",
		"tcp-keepalive = \"10h\"":              "tcp-keepalive: 10h0m0s",
		"tcp-keepalive = \"1500ms\"":           "tcp-keepalive: 1.5s is not in whole seconds",
		"scrub-interval = \"1s\"":              "scrub-interval: 1s is less than 1m0s; 0 is never",
		"when-full = \"panic\"":                "when-full: \"panic\" is not one of reject, discard-oldest",
		"compress = \"gzip\"":                  "compress: \"gzip\" is not one of zstd, s2, none",
		"port = 70000":                         "port: 70000",
		"parity = 5":                           "parity: 5",
		"max-disk = 5":                         "max-disk: 5",
		"queue = 1":                            "queue: give a table",
		"max-items = 5":                        "max-items: this is a setting of queues",
		"[queue.a.b]":                          "queue.\"a\".b: a table in a table: a name with a dot",
		"[queue]\nmax-disk = 1":                "queue.\"max-disk\": not a table",
		"[queue.\"\"]":                         "queue.\"\": no queue",
		"[queue.\"a/b\"]":                      "queue.\"a/b\": no queue",
		"[queue.q]\nport = 1":                  "queue.\"q\".port: this is a setting of the server",
		"[queue.q]\nparity = \"1\"":            "queue.\"q\".parity: give a whole number",
		"[queue.q]\nparity = 5":                "queue.\"q\".parity: 5",
		"[queue.q]\nmax-disk = 5":              "queue.\"q\".max-disk: 5",
		"[queue.q]\ncompress-level = 0":        "queue.\"q\".compress-level: 0",
		"[queue.q]\nqueue-max-disk = \"1GiB\"": "queue.\"q\".queue-max-disk: there is no such setting",
	} {
		path := file(t, content)
		_, err := Read(Sources{File: path})
		last := path + ":" + strconv.Itoa(1+strings.Count(content, "\n")) + ": "
		if err == nil || !strings.HasPrefix(err.Error(), last+want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %s%s", content, err, last, want)
		}
	}
}

func TestAllThatIsWrongIsToldAtOnceWithItsPlace(t *testing.T) {
	path := file(t, `prot = 1
when-full = reject
parity = 9
max-disk = "4x"
segment-size =
memory-limit = "1MiB"
[queue.q]
max-dsik = "1GiB"
port = 1
parity = 7
[queue."a b"]
[queue.broken
a = 1
`)
	_, err := Read(Sources{
		File:    path,
		Environ: []string{"DARNER_LOOPS=x", "DARNER_PORT=70000"},
		Flags:   map[string]string{"sync": "sometimes", "max-open-reads": "0"},
	})
	if err == nil {
		t.Fatal("got no error")
	}
	want := []string{
		path + ":2: expected value",
		path + ":5: expected value",
		path + ":12: ",
		path + ":1: prot: there is no such setting; did you mean port?",
		path + ":4: max-disk: \"4x\" is not a size",
		path + ":8: queue.\"q\".max-dsik: there is no such setting; did you mean max-disk?",
		path + ":9: queue.\"q\".port: this is a setting of the server",
		path + ":11: queue.\"a b\": no queue",
		"DARNER_LOOPS: \"x\" is not a whole number",
		"--sync: \"sometimes\" is not",
		"DARNER_PORT: 70000 is not between",
		"--max-open-reads: 0",
		path + ":6: memory-limit: 1MiB is less than a server needs",
		path + ":3: parity: 9",
		path + ":10: queue.\"q\".parity: 7",
	}
	got := strings.Split(err.Error(), "\n")
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("got the errors\n%s\nwant\n%s", err, strings.Join(want, "\n"))
		}
	}
}

func TestTheNearestSettingIsSuggested(t *testing.T) {
	c := Default()
	for name, want := range map[string]string{
		"max-dsik": "max-disk", "maxdisk": "max-disk", "max_disk": "max-disk", "prot": "port",
		"Listen": "listen", "memory": "", "xyz": "", "when-ful": "when-full",
		"compression": "compress", "segmentsize": "segment-size",
	} {
		if got := Nearest(name, names(c.Settings())); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A cluster names the address of a service after it.
func TestVariablesOfAClusterAreNoSettings(t *testing.T) {
	environ := []string{
		"DARNER_PORT=tcp://10.0.0.7:22133", "DARNER_SERVICE_HOST=10.0.0.7",
		"DARNER_SERVICE_PORT=22133", "DARNER_PORT_22133_TCP_PROTO=tcp",
		"DARNER_WEB_SERVICE_HOST=10.0.0.8", "DARNER_MAX_DSIK=1GiB", "DARNER_CONFIG=x",
		"DARNER_LOOPS=1", "HOME=/",
	}
	c, err := Read(Sources{Environ: environ})
	if err != nil || c.Port != Default().Port || c.Loops != 1 {
		t.Errorf("got port %d, %d loops, %v, want the default and 1", c.Port, c.Loops, err)
	}
	got := UnknownVariables(environ, "CONFIG")
	if len(got) != 1 || got["DARNER_MAX_DSIK"] != "DARNER_MAX_DISK" {
		t.Errorf("got the unknown variables %v, want DARNER_MAX_DSIK and a suggestion", got)
	}
}

func TestAVariableInLowerCaseIsNoSetting(t *testing.T) {
	environ := []string{"DARNER_loops=2"}
	c, err := Read(Sources{Environ: environ})
	if err != nil || c.Loops != Default().Loops {
		t.Errorf("got %d loops, %v, want the default", c.Loops, err)
	}
	if got := UnknownVariables(environ); got["DARNER_loops"] != "DARNER_LOOPS" {
		t.Errorf("got the unknown variables %v, want one and a suggestion", got)
	}
}

func TestSettingsReadBackAsWritten(t *testing.T) {
	c, again := Default(), Config{}
	c.ScrubInterval, c.MemoryLimit, c.Socket = Interval(90*time.Minute), 5, "/run/x"
	for _, s := range c.Settings() {
		if text := s.Value.String(); text != "" {
			err := again.Setting(s.Name).Set(text)
			if got := again.Setting(s.Name).String(); err != nil || got != text {
				t.Errorf("%s: got %q, %v, want %q", s.Name, got, err, text)
			}
		}
	}
}

func TestAFileWithoutEndIsRefused(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip(err)
	}
	_, err := Read(Sources{File: "/dev/zero"})
	if err == nil || !strings.Contains(err.Error(), "/dev/zero: it has more than 1MiB") {
		t.Errorf("got %v, want that it is too large", err)
	}
}
