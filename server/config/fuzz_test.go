package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a file holds, it is read, or each line of the error says where it is wrong.
func FuzzAFileIsReadOrItsErrorsHaveTheirPlaces(f *testing.F) {
	for _, text := range []string{
		"port = 1\n[queue.q]\nparity = 2\n", "port = \nlisten = \"\"\"x\n", "[queue\na = 1", "[[queue]]\n",
		"queue = 1", "a.b.c = [1, {x = 2}]", "port = 1\nport = 2", "\xff", "[queue.\"a b\".c]",
		"\"\\\n", "\"\" = 1\n\"a\\nb\" = 2",
		"[default]\nmax-deliveries = 1\ndead-letter = \"d%2A\"\n[queue.\"d*\"]\nexpire-to = \"a\"",
		"[queue.\"a*\"]\nretry-delay = \"1s\"\n[queue.\"a%62?\"]\nretry-delay-max = \"1ms\"\n" +
			"[queue.\"?+x\"]\nmax-item-size = \"2TiB\"",
	} {
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "darner.toml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Read(Sources{File: path})
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Errorf("%q: read, and then %v", text, err)
			}
			return
		}
		for _, line := range strings.Split(err.Error(), "\n") {
			if !strings.HasPrefix(line, path+":") {
				t.Errorf("%q: %q has no place", text, line)
			}
		}
	})
}
