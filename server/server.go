// Package server assembles the daemon: the queues of a data directory, the sessions of the protocol
// and their sockets.
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
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/server/status"
	"github.com/darner/darner/server/transport"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
)

// Version is the semantic version of the server.
const Version = "1.0.0-dev"

// Server is a running server.
type Server struct {
	log       *slog.Logger
	clock     clock.Clock // the one clock of all layers below
	episodes  *metrics.Episodes
	registry  *queue.Registry
	status    *status.Status
	env       *memcache.Env
	sockets   *transport.Server
	listeners []transport.Listener // TCP first

	descriptors *disk.Descriptors // that clients and queues share

	running context.Context // until Stop
	end     context.CancelFunc

	shutdown    context.Context // until a client asks for the stop
	askShutdown context.CancelFunc
	reloading   sync.Mutex
	read        config.Config // in force, as it was read
	ownMemory   int64         // the collector's limit where no setting changes it
	inForce     atomic.Pointer[inForce]
	level       atomic.Pointer[slog.LevelVar] // see SetLevel

	mu         sync.Mutex
	flushTimer clock.Timer // for the flush that a client asked for with a delay; nil: none did
}

// Start opens the data directory and listens. When it returns, clients can connect. It fails with
// disk.ErrLocked if another process has the data directory.
func Start(c config.Config, log *slog.Logger) (*Server, error) {
	return start(c, log, clock.System)
}

func start(c config.Config, log *slog.Logger, clk clock.Clock) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := newServer(log, clk)
	s.read = c
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, err
	}
	c.Data = data
	fit(&c, log)
	s.ownMemory = debug.SetMemoryLimit(-1)
	limitMemory(c.MemoryLimit, disk.HeapAddresses(), log)
	if err := s.listen(c); err != nil { // before anything is made in the data directory
		return nil, err
	}
	if s.registry, err = queue.OpenRegistry(data, s.queueOptions(c)); err != nil {
		return nil, errors.Join(err, s.closeListeners())
	}
	if err := s.startTransports(c); err != nil {
		return nil, errors.Join(err, s.registry.Close(), s.closeListeners())
	}
	nameAbsent(c, s.registry, log)
	warnIfOpen(s.Addr(), log)
	log.Info("darner is ready", "version", Version, "pid", os.Getpid(),
		"address", s.Addr().String(), "socket", c.Socket, "data", data, "sync", c.Sync.String(),
		"config", c.File())
	return s, nil
}

// nameAbsent logs which queues have settings of their own and do not exist: a name may be misspelt.
func nameAbsent(c config.Config, r *queue.Registry, log *slog.Logger) {
	for _, name := range c.OwnQueues() {
		if !r.Has(name) {
			log.Debug("settings are of a queue that does not exist yet", "queue", name)
		}
	}
}

// warnIfOpen warns of an address that everybody in the network reaches.
func warnIfOpen(at net.Addr, log *slog.Logger) {
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		log.Warn("listening on all addresses: whoever reaches the port can read, write and delete",
			"address", at.String(), "hint", "a firewall, or an address of the inner network in listen")
	}
}

func newServer(log *slog.Logger, clk clock.Clock) *Server {
	s := &Server{
		log: log, clock: clk, episodes: metrics.NewEpisodes(clk, log),
		descriptors: disk.NewDescriptors(shared(openFiles())),
	}
	s.running, s.end = context.WithCancel(context.Background())
	s.shutdown, s.askShutdown = context.WithCancel(context.Background())
	return s
}

func (s *Server) queueOptions(c config.Config) queue.Options {
	every := time.Duration(c.Sync)
	switch c.Sync {
	case config.SyncAlways:
		every = time.Duration(config.DefaultSync) // for items taken: a set waits for its own sync
	case config.SyncNever:
		every = wal.SyncNever
	}
	return queue.Options{
		MaxLoaded:   maxLoaded(memory(os.DirFS("/")), int64(c.SegmentSize), disk.MostMapped()),
		OpenBodies:  openBodies(shared(openFiles())),
		MaxDisk:     int64(c.MaxDisk),
		MinFree:     int64(c.MinFree),
		ScrubEvery:  orNone(time.Duration(c.ScrubInterval)),
		CompactRate: orNone(int64(c.CompactRate)),
		Settings:    queueSettings(c),
		Episodes:    s.episodes,
		Log: wal.Options{
			SegmentSize: int64(c.SegmentSize), InlineMax: int(c.InlineMax), SyncEvery: every,
			Clock: s.clock, Logger: s.log, FS: disk.OS{Descriptors: s.descriptors},
		},
	}
}

// orNone returns n, or -1 for 0: "none" is 0 in the configuration and negative in the options.
func orNone[T ~int64](n T) T {
	if n == 0 {
		return -1
	}
	return n
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
		return cannotListen(net.JoinHostPort(c.Listen, strconv.Itoa(c.Port)), err)
	}
	s.listeners = append(s.listeners, transport.Listener{Listener: tcp, Kind: kind})
	if c.Socket == "" {
		return nil
	}
	unix, err := transport.ListenUnix(c.Socket)
	if err != nil {
		return errors.Join(cannotListen(c.Socket, err), tcp.Close())
	}
	s.listeners = append(s.listeners, transport.Listener{Listener: unix, Kind: kind})
	return nil
}

// cannotListen says where, once.
func cannotListen(at string, err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("cannot listen on %s: %w", at, err)
}

func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func (s *Server) startTransports(c config.Config) error {
	if c.Loops == 0 {
		c.Loops = max(1, runtime.GOMAXPROCS(0)/4)
	}
	s.status = s.openStatus()
	now := fitted(c)
	s.inForce.Store(now)
	coarse := transport.NewCoarseClock(s.clock, s.registry.Look)
	env := &memcache.Env{
		Registry:      memcache.Local(s.registry),
		Counters:      new(metrics.Counters),
		Logger:        s.log,
		Episodes:      s.episodes,
		Status:        s.status,
		Now:           coarse.Now,
		Steady:        coarse.Steady,
		InlineMax:     int(c.InlineMax),
		SyncAlways:    c.Sync == config.SyncAlways,
		Live:          now.live(),
		Version:       Version,
		PID:           os.Getpid(),
		Threads:       c.Loops,
		Usage:         processorTime,
		Settings:      s.settings,
		QueueSettings: s.queueConfig,
		FlushAfter:    s.flushAfter,
		Reload:        s.Reload,
		Shutdown:      s.askShutdown,
	}
	s.env = env
	o := transport.Options{
		Session: func(p memcache.Peer, wake func()) *memcache.Session {
			return memcache.NewSession(env, p, wake)
		},
		Clock:          coarse,
		MaxConnections: c.MaxConnections,
		Descriptors:    s.descriptors,
		Counters:       env.Counters,
		Logger:         s.log,
		Loops:          c.Loops,
	}
	s.sockets = transport.New(o)
	if err := s.sockets.Serve(s.listeners...); err != nil {
		return fmt.Errorf("cannot serve connections: %w", err)
	}
	return nil
}

// inForce is a configuration that has been fitted to the machine. It does not change.
type inForce struct {
	config.Config
	maxBytes int64 // that all items may take
}

func fitted(c config.Config) *inForce { return &inForce{c, maxBytes(c)} }

// live are the settings of sessions that a reload may change.
func (c *inForce) live() memcache.Live {
	return memcache.Live{
		MaxItemSize:  int64(c.MaxItemSize),
		MaxOpenReads: c.MaxOpenReads,
		MaxOpenAhead: c.MaxOpenAhead,
		Admin:        access[c.Admin],
		Dialect:      dialect(c.Config),
		MaxBytes:     c.maxBytes,
	}
}

var access = map[config.Admin]memcache.Access{
	config.AdminDefault: memcache.AccessDefault,
	config.AdminLocal:   memcache.AccessLocal,
	config.AdminAll:     memcache.AccessAll,
	config.AdminOff:     memcache.AccessOff,
}

// Addr is the TCP address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listeners[0].Addr() }

// flushAfter flushes all queues after a delay. As in memcached, only the last such request counts.
func (s *Server) flushAfter(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flushTimer != nil {
		s.flushTimer.Stop()
	}
	if s.running.Err() != nil {
		return
	}
	s.flushTimer = s.clock.AfterFunc(delay, func() {
		if at := s.status.State(); !at.Writes() {
			s.log.Warn("queues are not flushed, though a client asked for it with a delay",
				"status", at.String())
			return
		}
		if err := s.registry.FlushAll(s.running); err != nil {
			s.log.Error("cannot flush all queues", "error", err)
			return
		}
		s.log.Info("all queues are flushed, as a client asked for with a delay")
	})
}

// syncTime is how long the queues may take to sync, after the context of Stop has ended.
const syncTime = 1500 * time.Millisecond

// Stop shows the status quiescent, stops accepting, answers waiting GETs and pending requests,
// closes connections and syncs.
// When ctx ends it cuts off connections that are still busy. At most 2 s later it gives up, with an
// error that names the queues that wait for the disk; the goroutine that closes them goes on. Call
// it once.
func (s *Server) Stop(ctx context.Context) error {
	late := clock.NewAlarm(s.clock)
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { late.Set(syncTime) })()
	s.status.Stop()
	s.registry.End()
	s.sockets.Stop(ctx)
	s.end()
	s.stopFlush()
	closed := make(chan error, 1)
	go func() { closed <- s.registry.Close() }() // it outlives Stop if the disk does not respond
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("cannot close all queues: %w", err)
		}
	case <-late.C:
		busy := s.registry.Busy()
		const named = 10
		return fmt.Errorf("the disk takes too long: %d queues are not closed: %q",
			len(busy), busy[:min(len(busy), named)])
	}
	s.log.Info("darner has stopped")
	return nil
}

func (s *Server) stopFlush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flushTimer != nil {
		s.flushTimer.Stop()
	}
}
