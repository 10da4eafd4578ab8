package server

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// A disk that hangs holds up a connection, and a queue whose log is to be closed.
func TestStopEndsWhateverTheDiskDoes(t *testing.T) {
	t.Parallel()
	fs := disktest.New()
	log := slog.New(slog.DiscardHandler)
	registry, err := queue.OpenRegistry("data", queue.Options{
		Log: wal.Options{FS: fs, SyncEvery: wal.SyncNever, Logger: log},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Port = 0
	s := newServer(log, clocktest.New(time.Now()))
	s.registry = registry
	if err := s.listen(c); err != nil {
		t.Fatal(err)
	}
	if err := s.startTransports(c); err != nil {
		t.Fatal(err)
	}
	say(t, dial(t, "tcp", s.Addr().String()), "set loaded 0 0 1\r\na\r\n", "STORED\r\n")
	hangs, mended := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		once.Do(func() { close(hangs) })
		<-mended
		return nil
	})
	stuck := dial(t, "tcp", s.Addr().String())
	if _, err := io.WriteString(stuck, "set new 0 0 1\r\na\r\n"); err != nil {
		t.Fatal(err)
	}
	<-hangs
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := stop(s, ctx); err == nil || !strings.Contains(err.Error(), `"loaded"`) {
		t.Errorf("got %v, want an error that names the queue", err)
	}
	close(mended)
	for len(registry.Busy()) > 0 { // until the goroutines that outlived Stop have ended
	}
}
