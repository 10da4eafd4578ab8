package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func none(string) bool { return false }

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "darner.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheFileSetsWhatTheFlagsDo(t *testing.T) {
	c := Default()
	err := c.Load(file(t, `
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

[queue.orders]
max-disk = "2MiB"
when-full = "reject"

[queue."a b"]
`), none)
	if err == nil || !strings.Contains(err.Error(), `queue."a b"`) ||
		strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v, want an error about the name with a space alone", err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"data": "/var/lib/darner", "port": "1234", "sync": "always", "segment-size": "4MiB",
		"inline-max": "4KiB", "max-disk": "512MiB", "queue-max-disk": "64MiB", "min-free": "0",
		"when-full": "discard-oldest", "compress": "s2", "compress-level": "7", "parity": "2",
		"scrub-interval": "24h0m0s", "tcp-user-timeout": "30s", "tcp-keepalive": "0",
		"compact-rate": "1MiB", "memory-limit": "48MiB", "transport": "portable", "loops": "2",
		"admin-commands": "local", "listen": "127.0.0.1",
	}
	for name, text := range texts {
		if got := c.Setting(name).String(); got != text {
			t.Errorf("%s: got %s, want %s", name, got, text)
		}
	}
	if got, want := c.Queue("orders"), (Queue{2 * MiB, Reject, CompressS2, 7, 2}); got != want {
		t.Errorf("orders: got %v, want %v", got, want)
	}
	got, want := c.Queue("other"), Queue{64 * MiB, DiscardOldest, CompressS2, 7, 2}
	if got != want {
		t.Errorf("another queue: got %v, want %v", got, want)
	}
}

func TestAFlagOverridesTheFile(t *testing.T) {
	c := Default()
	c.Port, c.Parity = 1, 4
	path := file(t, "port = 2\nparity = 9\nlisten = \"::1\"\n[queue.q]\ncompress-level = 3\n")
	given := func(name string) bool { return name == "port" || name == "parity" }
	if err := c.Load(path, given); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil || c.Port != 1 || c.Listen != "::1" {
		t.Errorf("got port %d, listen %s, %v, want 1 and ::1", c.Port, c.Listen, err)
	}
	if q := c.Queue("q"); q.Parity != 4 || q.CompressLevel != 3 {
		t.Errorf("got %v for the queue, want parity 4 and level 3", q)
	}
}

func TestWhatIsWrongInTheFileIsNamed(t *testing.T) {
	for content, want := range map[string]string{
		"port = 1\nport = ":                    "line 2",
		"port = 1\nport = 2":                   "line 2",
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
		"when-full = \"panic\"":                "when-full: \"panic\" is not one of reject, discard-oldest",
		"compress = \"gzip\"":                  "compress: \"gzip\" is not one of zstd, s2, none",
		"port = 70000":                         "port: 70000",
		"parity = 5":                           "parity: 5",
		"max-disk = 5":                         "max-disk: 5",
		"queue = 1":                            "queue: give a table",
		"[queue]\nmax-disk = 1":                "queue.\"max-disk\": not a table",
		"[queue.\"\"]":                         "queue.\"\": no queue",
		"[queue.\"a/b\"]":                      "queue.\"a/b\": no queue",
		"[queue.q]\nport = 1":                  "queue.\"q\".port: there is no such setting",
		"[queue.q]\nparity = \"1\"":            "queue.\"q\".parity: give a whole number",
		"[queue.q]\nparity = 5":                "queue.\"q\".parity: 5",
		"[queue.q]\nmax-disk = 5":              "queue.\"q\".max-disk: 5",
		"[queue.q]\ncompress-level = 0":        "queue.\"q\".compress-level: 0",
		"[queue.q]\nqueue-max-disk = \"1GiB\"": "queue.\"q\".queue-max-disk: there is no such setting",
	} {
		c, path := Default(), file(t, content)
		err := c.Load(path, none)
		if err == nil {
			err = c.Validate()
		}
		if err == nil || !strings.HasPrefix(err.Error(), path+": "+want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %s", content, err, want)
		}
	}
}

func TestAllThatIsWrongInTheFileIsToldAtOnce(t *testing.T) {
	c := Default()
	err := c.Load(file(t, "a = 1\nb = 2\n[queue.q]\nc = 3\nd = 4\n"), none)
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v, want four errors", err)
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
