package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/memcache/transcript"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/clock/clocktest"
)

// hang is how long anything may take before it counts as stuck.
const hang = time.Minute

// launch starts a server on a directory of its own, changed as asked, and stops it at the end.
func launch(t *testing.T, change ...func(*config.Config)) *Server {
	t.Helper()
	return launchOn(t, clock.System, change...)
}

// launchOn has the server go by a clock.
func launchOn(t *testing.T, clk clock.Clock, change ...func(*config.Config)) *Server {
	t.Helper()
	c := config.Default()
	c.Data, c.Port = t.TempDir(), 0
	for _, f := range change {
		f(&c)
	}
	s, err := start(c, slog.New(slog.DiscardHandler), clk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(s, context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stop stops a server. If the clock stands still otherwise it has time pass meanwhile.
func stop(s *Server, ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(hang); time.Now().Before(end); {
		select {
		case err := <-stopped:
			return err
		case <-tick.C:
			if still, ok := s.clock.(*clocktest.Clock); ok {
				still.Step(10 * time.Millisecond)
			}
		}
	}
	return errors.New("the server does not stop")
}

// dial connects to a server.
func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(hang))
	return c
}

// say sends a request and checks the answer.
func say(t *testing.T, c net.Conn, request, answer string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(answer))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != answer {
		t.Fatalf("%.40q: got %.200q, %v, want %.200q", request, got[:n], err, answer)
	}
}

func TestServerAnswersAsTheTranscriptsSay(t *testing.T) {
	cases, err := transcript.Load("../testdata/protocol")
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"tcp", "unix"} {
		for _, c := range cases {
			t.Run(network+"/"+c.File+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				replay(t, network, c)
			})
		}
	}
}

func replay(t *testing.T, network string, c transcript.Case) {
	socket := filepath.Join(t.TempDir(), "s")
	s := launch(t, func(conf *config.Config) {
		conf.Socket = socket
		set(t, conf, c.With)
	})
	address := s.Addr().String()
	if network == "unix" {
		address = socket
	}
	err := c.Replay(func() (io.ReadWriteCloser, error) {
		conn, err := net.Dial(network, address)
		if err == nil {
			err = conn.SetDeadline(time.Now().Add(hang))
		}
		return conn, err
	})
	if err != nil {
		t.Error(err)
	}
}

// set gives a configuration the settings a transcript asks for. Those of all queues are named
// queue-max-items and so on. Queues that others move items to pass none on.
func set(t *testing.T, c *config.Config, with map[string]string) {
	queues, with := with, maps.Clone(with)
	file := "[default]\n"
	for name, value := range with {
		key, ofQueues := strings.CutPrefix(name, "queue-")
		if !ofQueues || c.Setting(name) != nil {
			continue
		}
		if _, err := strconv.Atoi(value); err != nil {
			value = strconv.Quote(value)
		}
		file += key + " = " + value + "\n"
		delete(with, name)
	}
	for _, key := range []string{"queue-dead-letter", "queue-expire-to"} {
		if to := queues[key]; to != "" {
			file += fmt.Sprintf("[queue.%q]\nmax-deliveries = 0\nmax-age = 0\n"+
				"dead-letter = \"\"\nexpire-to = \"\"\n", to)
		}
	}
	path := filepath.Join(t.TempDir(), "darner.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := config.Read(config.Sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	read.Data, read.Port, read.Socket = c.Data, c.Port, c.Socket
	*c = read
	for name, value := range with {
		err := errors.New("unknown setting")
		if x := c.Setting(name); x != nil {
			err = x.Set(value)
		}
		if err != nil {
			t.Fatalf("with %s %s: %v", name, value, err)
		}
	}
}

func TestAnItemSurvivesARestart(t *testing.T) {
	c := config.Default()
	c.Data, c.Port = t.TempDir(), 0
	for round, talk := range [][2]string{
		{"set q 7 0 5\r\nhello\r\n", "STORED\r\n"},
		{"get q/open\r\n", "VALUE q 7 5\r\nhello\r\nEND\r\n"}, // never confirmed
		{"get q\r\n", "VALUE q 7 5\r\nhello\r\nEND\r\n"},
		{"get q\r\n", "END\r\n"},
	} {
		s, err := Start(c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		say(t, dial(t, "tcp", s.Addr().String()), talk[0], talk[1])
		if err := s.Stop(context.Background()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

func TestASecondServerOnTheSameDataRefuses(t *testing.T) {
	data := t.TempDir()
	launch(t, func(c *config.Config) { c.Data = data })
	c := config.Default()
	c.Data, c.Port = data, 0
	_, err := Start(c, slog.New(slog.DiscardHandler))
	if !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), data) {
		t.Errorf("got %v, want disk.ErrLocked and the directory", err)
	}
}

func TestAServerThatCannotListenLeavesTheDataToOthers(t *testing.T) {
	first := launch(t)
	c := config.Default()
	c.Data, c.Port = filepath.Join(t.TempDir(), "data"), first.Addr().(*net.TCPAddr).Port
	_, err := Start(c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "cannot listen") {
		t.Fatalf("got %v for a taken port, want that it cannot listen", err)
	}
	if _, err := os.Stat(c.Data); err == nil {
		t.Error("got a data directory, want none")
	}
	launch(t, func(second *config.Config) { second.Data = c.Data })
}

func TestABadSettingIsAnError(t *testing.T) {
	c := config.Default()
	c.Data, c.Port = t.TempDir(), -1
	_, err := Start(c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "port") {
		t.Errorf("got %v for port -1, want an error that names the port", err)
	}
}

// ask sends a request and returns the figures of its answer, by name.
func ask(t *testing.T, c net.Conn, request string) map[string]string {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	figures := map[string]string{}
	for lines := bufio.NewScanner(c); lines.Scan() && lines.Text() != "END"; {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "STAT "), " ")
		figures[name] = value
	}
	return figures
}

func TestADelayedFlushHappens(t *testing.T) {
	still := clocktest.New(time.Now())
	c := dial(t, "tcp", launchOn(t, still).Addr().String())
	const set, item = "set q 0 0 1\r\na\r\n", "VALUE q 0 1\r\na\r\nEND\r\n"
	say(t, c, set, "STORED\r\n")
	say(t, c, "flush_all 100\r\n", "OK\r\n")
	say(t, c, "flush_all 10\r\n", "OK\r\n") // it takes the place of the first
	still.Step(10*time.Second - 1)
	say(t, c, "get q/peek\r\n", item)
	still.Step(1)
	say(t, c, "get q/peek\r\n", "END\r\n")
	say(t, c, set, "STORED\r\n")
	still.Step(100 * time.Second)
	say(t, c, "get q/peek\r\n", item)
}

// lockedBuffer collects log lines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestTheLogSaysWhatAndWhereAndIsThenQuiet(t *testing.T) {
	var log lockedBuffer
	c := config.Default()
	c.Data, c.Port, c.Socket = t.TempDir(), 0, filepath.Join(t.TempDir(), "s")
	s, err := Start(c, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	say(t, dial(t, "tcp", s.Addr().String()),
		"set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.b.String()), "\n")
	if len(lines) != 2 {
		t.Errorf("got %d lines for start, request and stop, want 2:\n%s", len(lines), &log.b)
	}
	for _, want := range []string{Version, s.Addr().String(), c.Socket, c.Data} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("got first line %s, want %s in it", lines[0], want)
		}
	}
}
