package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/darner/darner/server/config"
	"github.com/darner/darner/wal/clock"
)

// reloadable is a server with a configuration file.
type reloadable struct {
	*Server
	t     *testing.T
	file  string
	log   lockedBuffer
	level slog.LevelVar
}

func launchWithFile(t *testing.T, text string) *reloadable {
	t.Helper()
	r := &reloadable{t: t, file: filepath.Join(t.TempDir(), "darner.toml")}
	r.write(text)
	c, err := config.Read(config.Sources{File: r.file, Environ: []string{"DARNER_PORT=0"},
		Flags: map[string]string{"data": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: &r.level}))
	if r.Server, err = start(c, log, clock.System); err != nil {
		t.Fatal(err)
	}
	r.SetLevel(&r.level)
	t.Cleanup(func() {
		if err := stop(r.Server, context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *reloadable) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload returns the lines that it logs.
func (r *reloadable) reload(text string) (lines []string, err error) {
	r.t.Helper()
	r.write(text)
	r.log.mu.Lock()
	r.log.b.Reset()
	r.log.mu.Unlock()
	err = r.Reload()
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return strings.Split(strings.TrimSpace(r.log.b.String()), "\n"), err
}

func TestAReloadAppliesToWhatIsThere(t *testing.T) {
	r := launchWithFile(t, "")
	c := dial(t, "tcp", r.Addr().String()) // sessions from before
	say(t, c, "set q 0 0 1\r\na\r\nset q 0 0 1\r\nb\r\nget q/open\r\n",
		"STORED\r\nSTORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	lines, err := r.reload(`
max-item-size = 3
max-open-reads = 2
echo-key = "asked"
max-disk = "8MiB"
min-free = 12345
max-connections = 1
debug = true
admin-commands = "off"
[queue.q]
max-disk = "1MiB"
compress = "none"
parity = 0
max-age = "1h"
`)
	if err != nil {
		t.Fatal(err)
	}
	last := lines[len(lines)-1]
	for _, want := range []string{"the configuration is reloaded", "max-item-size", "max-open-reads",
		"echo-key", "max-disk", "min-free", "max-connections", "debug", "admin-commands",
		`queue.\"q\".max-disk`, `queue.\"q\".max-age`} {
		if !strings.Contains(last, want) {
			t.Errorf("got the line %s, want %s in it", last, want)
		}
	}
	say(t, c, "get q/open\r\n", "VALUE q/open 0 1\r\nb\r\nEND\r\n")
	say(t, c, "set q 0 0 4\r\naaaa\r\n", "SERVER_ERROR object too large for queue\r\n")
	say(t, c, "flush q\r\n", "CLIENT_ERROR flush is switched off\r\n")
	got := ask(t, c, "stats settings\r\n")
	for name, want := range map[string]string{
		"max-item-size": "3", "item_size_max": "3", "max-open-reads": "2", "max-disk": "8388608",
		"maxbytes": "8388608", "min-free": "12345", "max-connections": "1", "maxconns": "1",
		"debug": "true", "queue.q.max-disk": "1048576", "queue.q.compress": "none",
		"queue.q.max-age": "1h0m0s", "queue.q.max-open-reads": "2", "default.max-age": "0",
		"queue.q.segment-size": "262144", "segment-size": "16777216",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	if got := ask(t, c, "stats\r\n"); got["disk_limit"] != "8388608" ||
		got["limit_maxbytes"] != "8388608" {
		t.Errorf("got %q and %q for the bound, want 8 MiB", got["disk_limit"], got["limit_maxbytes"])
	}
	say(t, dial(t, "tcp", r.Addr().String()), "", "SERVER_ERROR too many connections\r\n")
	if r.level.Level() != slog.LevelDebug {
		t.Error("the log has no more than before")
	}
	if of := fmt.Sprint(r.queueConfig("q")); !strings.Contains(of, "{max-age 1h0m0s}") {
		t.Errorf("got %s for the queue, want its age", of)
	}

	if _, err := r.reload(""); err != nil { // all back
		t.Fatal(err)
	}
	say(t, c, "set q 0 0 4\r\naaaa\r\n", "STORED\r\n")
	if got := ask(t, c, "stats settings\r\n"); got["max-connections"] != "16384" ||
		got["queue.q.max-disk"] != "" {
		t.Errorf("got %v, want what was in force before", got)
	}
}

func TestAReloadOfWhatIsWrongChangesNothing(t *testing.T) {
	r := launchWithFile(t, "max-item-size = 5\n")
	c := dial(t, "tcp", r.Addr().String())
	lines, err := r.reload("max-item-size = 6\nparity = 9\n[queue.q]\nmax-itmes = 1\n")
	want := "nothing is reloaded: 2 errors, the first: " + r.file +
		`:4: queue."q".max-itmes: there is no such setting; did you mean max-items?`
	if err == nil || err.Error() != want {
		t.Errorf("got the error %v, want %s", err, want)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "parity: 9") ||
		!strings.Contains(lines[0], "max-itmes") || !strings.Contains(lines[0], "level=ERROR") {
		t.Errorf("got the log %q, want one line with both errors", lines)
	}
	if got := ask(t, c, "stats settings\r\n"); got["max-item-size"] != "5" {
		t.Errorf("got %s, want the old bound", got["max-item-size"])
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(); err == nil || !strings.Contains(err.Error(), r.file) {
		t.Errorf("got %v without the file, want its name", err)
	}
}

func TestWhatNeedsARestartKeepsItsValueAndIsNamed(t *testing.T) {
	r := launchWithFile(t, "")
	text := "socket = \"/none/s\"\nloops = 7\nsegment-size = \"1MiB\"\nmax-open-reads = 3\n"
	for range 2 { // each time
		lines, err := r.reload(text)
		if err != nil || len(lines) != 2 || !strings.Contains(lines[0], "need a restart") ||
			!strings.Contains(lines[0], `settings="socket segment-size loops"`) ||
			strings.Contains(lines[1], "loops") {
			t.Errorf("got %v, %q, want the three named once", err, lines)
		}
	}
	got := ask(t, dial(t, "tcp", r.Addr().String()), "stats settings\r\n")
	if got["socket"] != "" || got["loops"] == "7" || got["segment-size"] != "16777216" ||
		got["max-open-reads"] != "3" {
		t.Errorf("got %v, want the old socket, loops and segments, and 3 open reads", got)
	}
	if lines, _ := r.reload(text); !strings.Contains(lines[1], "changed=nothing") {
		t.Errorf("got %q, want that nothing changed", lines)
	}
}

// A flag wins over the file, at a reload too.
func TestAReloadKeepsToTheFlags(t *testing.T) {
	r := launchWithFile(t, "")
	lines, err := r.reload("data = \"/elsewhere\"\nport = 1\n")
	if err != nil || len(lines) != 1 || !strings.Contains(lines[0], "changed=nothing") {
		t.Errorf("got %q, %v, want that nothing changed", lines, err)
	}
}

func TestTheMemoryLimitChangesAndComesBack(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(was)
	r := launchWithFile(t, "")
	before := debug.SetMemoryLimit(-1)
	for _, step := range []struct {
		text string
		want int64
	}{{"memory-limit = \"900MiB\"\n", 900 << 20}, {"", before}} {
		if _, err := r.reload(step.text); err != nil {
			t.Fatal(err)
		}
		if got := debug.SetMemoryLimit(-1); got != step.want {
			t.Errorf("%q: got a limit of %d, want %d", step.text, got, step.want)
		}
	}
}

func TestReloadsHoldUpNoClient(t *testing.T) {
	r := launchWithFile(t, "")
	var clients sync.WaitGroup
	for i := range 4 {
		c := dial(t, "tcp", r.Addr().String())
		request := fmt.Sprintf("set q%d 0 0 1\r\na\r\nget q%d/open\r\nget q%d/close\r\n", i, i, i)
		answer := fmt.Sprintf("STORED\r\nVALUE q%d 0 1\r\na\r\nEND\r\nEND\r\n", i)
		clients.Go(func() {
			for range 1000 {
				if _, err := io.WriteString(c, request); err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, len(answer))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != answer {
					t.Errorf("got %q, %v, want %q", got, err, answer)
					return
				}
			}
		})
	}
	for i := range 50 {
		text := fmt.Sprintf("max-open-reads = %d\nmax-disk = \"%dMiB\"\nscrub-interval = \"%dm\"\n"+
			"[queue.\"q?\"]\nparity = %d\nmax-items = %d\n", 1+i, 100+i, 1+i, i%5, 1000+i)
		if _, err := r.reload(text); err != nil {
			t.Error(err)
		}
	}
	clients.Wait()
}
