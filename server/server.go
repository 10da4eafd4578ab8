// Package server assembles the daemon: the queues of a data directory, the sessions of the
// protocol, and the sockets they speak through.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/server/transport"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
)

// Version of the server, as semantic versioning has it.
const Version = "1.0.0-dev"

// Server is a running server.
type Server struct {
	log       *slog.Logger
	registry  *queue.Registry
	sockets   *transport.Server
	listeners []transport.Listener // TCP first

	mu      sync.Mutex
	flushAt *time.Timer // the flush a client asked for with a delay
	stopped bool

	flushing context.Context // of such flushes; ends when the server stops
	endFlush context.CancelFunc
}

// Start opens the data directory and listens. When it returns, clients can connect. It fails with
// disk.ErrLocked when another process has the data directory.
func Start(c config.Config, log *slog.Logger) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, err
	}
	c.Data = data
	fit(&c, log)
	limitMemory(c.MemoryLimit, disk.HeapAddresses(), log)
	s := &Server{log: log}
	if err := s.listen(c); err != nil { // before anything is made in the data directory
		return nil, err
	}
	if s.registry, err = queue.OpenRegistry(data, queueOptions(c, log)); err != nil {
		return nil, errors.Join(err, s.unlisten())
	}
	if err := s.startTransports(c); err != nil {
		return nil, errors.Join(err, s.registry.Close(), s.unlisten())
	}
	log.Info("darner is ready", "version", Version, "pid", os.Getpid(), "address", s.Addr().String(), "socket", c.Socket, "data", data, "sync", c.Sync.String())
	return s, nil
}

func queueOptions(c config.Config, log *slog.Logger) queue.Options {
	every := time.Duration(c.Sync)
	switch c.Sync {
	case config.SyncAlways:
		every = time.Duration(config.DefaultSync) // for what is taken: what is set waits for a sync of its own
	case config.SyncNever:
		every = wal.SyncNever
	}
	return queue.Options{
		MaxLoaded:   maxLoaded(openFiles(), c.MaxConnections, memory(os.DirFS("/")), int64(c.SegmentSize), disk.MostMapped()),
		MaxDisk:     int64(c.MaxDisk),
		MinFree:     int64(c.MinFree),
		ScrubEvery:  orNone(time.Duration(c.ScrubInterval)),
		CompactRate: orNone(int64(c.CompactRate)),
		Settings:    queueSettings(c),
		Log:         wal.Options{SegmentSize: int64(c.SegmentSize), InlineMax: int(c.InlineMax), SyncEvery: every, Logger: log},
	}
}

// orNone turns 0, which is none in the configuration, into what is none in the options.
func orNone[T ~int64](n T) T {
	if n == 0 {
		return -1
	}
	return n
}

// cold is how a queue's segments are kept that are not read soon.
func cold(q config.Queue) *wal.Cold {
	codecs := map[config.Compress]wal.Cold{
		config.CompressZstd: {Codec: segment.CodecZstd, Level: q.CompressLevel},
		config.CompressS2:   {Codec: segment.CodecS2},
		config.CompressNone: {Codec: segment.CodecNone},
	}
	c := codecs[q.Compress]
	c.Parity = q.Parity
	return &c
}

// queueSettings are what may differ from queue to queue, made once: they are asked for on the way of items.
func queueSettings(c config.Config) func(name string) queue.Settings {
	of := func(name string) queue.Settings {
		q := c.Queue(name)
		return queue.Settings{
			MaxDisk:     int64(q.MaxDisk),
			Discard:     q.WhenFull == config.DiscardOldest,
			SegmentSize: int64(queueSegmentSize(c, q.MaxDisk)),
			Cold:        cold(q),
		}
	}
	every, own := of(""), make(map[string]queue.Settings)
	for _, name := range c.OwnQueues() {
		own[name] = of(name)
	}
	return func(name string) queue.Settings {
		if s, ok := own[name]; ok {
			return s
		}
		return every
	}
}

func (s *Server) listen(c config.Config) error {
	kind := transport.Best
	if c.Transport == config.TransportPortable {
		kind = transport.Portable
	}
	tcp, err := transport.ListenTCP(c.Listen, c.Port, transport.TCPOptions{
		UserTimeout: time.Duration(c.TCPUserTimeout), Keepalive: time.Duration(c.TCPKeepalive),
	})
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	s.listeners = append(s.listeners, transport.Listener{Listener: tcp, Kind: kind})
	if c.Socket == "" {
		return nil
	}
	unix, err := transport.ListenUnix(c.Socket)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot listen: %w", err), tcp.Close())
	}
	s.listeners = append(s.listeners, transport.Listener{Listener: unix, Kind: kind})
	return nil
}

func (s *Server) unlisten() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func (s *Server) startTransports(c config.Config) error {
	look := func(time.Time) { s.registry.Look(clock.System.Now()) }
	clock := transport.NewClock(look)
	env := &memcache.Env{
		Registry:     memcache.Local(s.registry),
		Counters:     new(metrics.Counters),
		Logger:       s.log,
		Now:          clock.Now,
		Steady:       clock.Steady,
		MaxItemSize:  int64(c.MaxItemSize),
		InlineMax:    int(c.InlineMax),
		MaxOpenReads: c.MaxOpenReads,
		SyncAlways:   c.Sync == config.SyncAlways,
		Admin:        access[c.Admin],
		Version:      Version,
		PID:          os.Getpid(),
		Settings:     settings(c),
		FlushAfter:   s.flushIn,
	}
	o := transport.Options{
		Session:        func(p memcache.Peer, wake func()) *memcache.Session { return memcache.NewSession(env, p, wake) },
		Clock:          clock,
		MaxConnections: c.MaxConnections,
		Counters:       env.Counters,
		Logger:         s.log,
		Loops:          c.Loops,
	}
	if o.Loops == 0 {
		o.Loops = max(1, runtime.GOMAXPROCS(0)/4)
	}
	s.sockets = transport.New(o)
	if err := s.sockets.Serve(s.listeners...); err != nil {
		return fmt.Errorf("cannot serve connections: %w", err)
	}
	return nil
}

var access = map[config.Admin]memcache.Access{
	config.AdminDefault: memcache.AccessDefault,
	config.AdminLocal:   memcache.AccessLocal,
	config.AdminAll:     memcache.AccessAll,
	config.AdminOff:     memcache.AccessOff,
}

// settings are what "stats settings" answers: the names of the flags and their values in force, sizes in bytes.
func settings(c config.Config) []memcache.Setting {
	var all []memcache.Setting
	for _, s := range c.Settings() {
		value := s.Value.String()
		switch v := s.Value.(type) {
		case *config.Size:
			value = strconv.FormatInt(int64(*v), 10)
		case *config.AutoSize:
			if *v != config.Auto {
				value = strconv.FormatInt(int64(*v), 10)
			}
		}
		all = append(all, memcache.Setting{Name: s.Name, Value: value})
	}
	return all
}

// Addr is where the server listens for TCP.
func (s *Server) Addr() net.Addr { return s.listeners[0].Addr() }

// flushIn flushes everything after a delay. As in memcached, only the last such request counts.
func (s *Server) flushIn(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flushAt != nil {
		s.flushAt.Stop()
	}
	if s.stopped {
		return
	}
	if s.flushing == nil {
		s.flushing, s.endFlush = context.WithCancel(context.Background())
	}
	s.flushAt = time.AfterFunc(delay, func() {
		if err := s.registry.FlushAll(s.flushing); err != nil {
			s.log.Error("not everything could be flushed", "error", err)
		}
	})
}

// syncTime is how long after the deadline of Stop the queues may take to get onto the disk.
const syncTime = 1500 * time.Millisecond

// Stop stops accepting, has waiting GETs answered, answers what was asked, closes connections and
// syncs. When ctx ends, connections that are still busy are cut off; at most 2 s after its deadline,
// if it has one, Stop gives up with an error that names the queues which wait for the disk. Call it once.
func (s *Server) Stop(ctx context.Context) error {
	s.sockets.Stop(ctx)
	s.stopFlush()
	var late <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		late = time.After(time.Until(deadline.Add(syncTime)))
	}
	closed := make(chan error, 1)
	go func() { closed <- s.registry.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("not everything could be put in order: %w", err)
		}
	case <-late:
		busy := s.registry.Busy()
		const most = 10
		return fmt.Errorf("the disk takes too long; %d queues are not closed: %q", len(busy), busy[:min(len(busy), most)])
	}
	s.log.Info("darner has stopped")
	return nil
}

func (s *Server) stopFlush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.flushAt != nil {
		s.flushAt.Stop()
		s.endFlush()
	}
}
