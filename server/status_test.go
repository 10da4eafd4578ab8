package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/server/config"
	"github.com/darner/darner/wal/clock/clocktest"
	"github.com/darner/darner/wal/datadir"
)

// startOn starts a server that the test stops itself.
func startOn(t *testing.T, data string, log slog.Handler) *Server {
	t.Helper()
	c := config.Default()
	c.Data, c.Port = data, 0
	s, err := Start(c, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheStatusIsKeptAcrossRestarts(t *testing.T) {
	data := t.TempDir()
	for round, talk := range [][2]string{
		{"status\r\nstatus quiescent\r\n", "UP\r\nEND\r\n"},
		{"status\r\nget q\r\nstatus readonly\r\n", "QUIESCENT\r\n" +
			"SERVER_ERROR the server is quiescent, and does not take get\r\nEND\r\n"},
		{"status\r\nget q\r\nstatus up\r\n", "READONLY\r\nEND\r\nEND\r\n"},
		{"status\r\n", "UP\r\n"},
	} {
		s := startOn(t, data, slog.DiscardHandler)
		say(t, dial(t, "tcp", s.Addr().String()), talk[0], talk[1])
		if err := s.Stop(context.Background()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

func TestAStatusThatCannotBeReadIsUpAndSaysSo(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, datadir.StatusName), []byte("\x00\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	s := startOn(t, data, slog.NewTextHandler(&log, nil))
	say(t, dial(t, "tcp", s.Addr().String()), "status\r\n", "UP\r\n")
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log.b.Bytes(), []byte("cannot read the status that was set before")) {
		t.Errorf("got %s, want a line about the status", &log.b)
	}
}

func TestAServerThatStopsShowsThatItIsQuiescentAndAnswersWhatWasAsked(t *testing.T) {
	data := t.TempDir()
	s := startOn(t, data, slog.DiscardHandler)
	c := dial(t, "tcp", s.Addr().String())
	if _, err := io.WriteString(c, "set q 0 0 2000000\r\n"+strings.Repeat("x", 1000000)); err != nil {
		t.Fatal(err)
	}
	for s.registry.Totals().Queues == 0 { // until the upload has begun
		runtime.Gosched()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	for s.status.Shown() == s.status.State() {
		runtime.Gosched()
	}
	say(t, c, strings.Repeat("x", 1000000)+"\r\nset q 0 0 1\r\na\r\nstatus\r\n",
		"STORED\r\nSTORED\r\nQUIESCENT\r\n")
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	again := launch(t, func(c *config.Config) { c.Data = data })
	say(t, dial(t, "tcp", again.Addr().String()), "status\r\n", "UP\r\n")
}

func TestADelayedFlushIsNotDoneWhileTheServerIsReadOnly(t *testing.T) {
	still := clocktest.New(time.Now())
	c := dial(t, "tcp", launchOn(t, still).Addr().String())
	say(t, c, "set q 0 0 1\r\na\r\nflush_all 10\r\nstatus readonly\r\n", "STORED\r\nOK\r\nEND\r\n")
	still.Step(20 * time.Second)
	say(t, c, "status up\r\nget q\r\n", "END\r\nVALUE q 0 1\r\na\r\nEND\r\n")
}

func TestAClientMayAskForTheStop(t *testing.T) {
	s := launch(t)
	select {
	case <-s.ShutdownAsked():
		t.Fatal("got a stop that nobody asked for")
	default:
	}
	c := dial(t, "tcp", s.Addr().String())
	say(t, c, "shutdown\r\n", "")
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes, %v, want the end of the connection", n, err)
	}
	<-s.ShutdownAsked()
}
