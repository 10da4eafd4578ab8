package server

// Reload: the configuration read again while the server runs.

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/config"
)

// Reload reads the configuration again, where the start found it: the file as it is now, with the
// same environment and flags. If all of it is right it applies to all queues and connections from
// now on, except for settings that need a restart, which are logged and keep their value. If
// anything is wrong, nothing changes; the error is one line, and the log has all that is wrong. Any
// goroutine may call it.
func (s *Server) Reload() error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	fresh, err := s.read.Reread()
	if err != nil {
		wrong := config.Lines(err)
		s.log.Error("nothing is reloaded: the configuration is wrong", "config", s.read.File(),
			"errors", strings.Join(wrong, "; "))
		if len(wrong) > 1 {
			return fmt.Errorf("nothing is reloaded: %d errors, the first: %s", len(wrong), wrong[0])
		}
		return fmt.Errorf("nothing is reloaded: %s", wrong[0])
	}
	changed, ofTables := config.Changes(s.read, fresh)
	later := keep(&fresh, s.read, changed)
	changed = slices.DeleteFunc(changed, func(name string) bool {
		return slices.Contains(later, name)
	})
	s.apply(fresh, changed)
	if len(later) > 0 {
		s.log.Warn("settings have changed that need a restart; the old ones stay in force",
			"settings", strings.Join(later, " "))
	}
	s.log.Info("the configuration is reloaded", "config", s.read.File(),
		"changed", listed(append(changed, ofTables...)))
	return nil
}

// keep gives fresh the old values of settings that cannot change, and returns those that did.
func keep(fresh *config.Config, old config.Config, changed []string) (kept []string) {
	for _, name := range changed {
		if config.NeedsRestart(name) {
			fresh.Setting(name).Set(old.Setting(name).String())
			kept = append(kept, name)
		}
	}
	return kept
}

// apply has a configuration be in force, of which changed names the settings that are others.
func (s *Server) apply(c config.Config, changed []string) {
	s.read = c
	before := s.inForce.Load()
	quiet := s.log
	if !slices.Contains(changed, "max-connections") { // the start has told
		quiet = slog.New(slog.DiscardHandler)
	}
	c.Data, c.Loops = before.Data, before.Loops
	fit(&c, quiet)
	c.SegmentSize = before.SegmentSize
	if slices.Contains(changed, "memory-limit") {
		debug.SetMemoryLimit(s.ownMemory)
		limitMemory(c.MemoryLimit, disk.HeapAddresses(), s.log)
	}
	now := fitted(c)
	s.inForce.Store(now)
	s.setLevel()
	s.registry.SetBounds(int64(c.MaxDisk), int64(c.MinFree))
	s.registry.SetScrubEvery(orNone(time.Duration(c.ScrubInterval)))
	s.registry.Reconfigure(queueSettings(c))
	s.env.Change(now.live())
	s.sockets.SetMaxConnections(c.MaxConnections)
}

// SetLevel has the setting debug set the level of the log, now and when it is reloaded.
func (s *Server) SetLevel(level *slog.LevelVar) {
	s.level.Store(level)
	s.setLevel()
}

func (s *Server) setLevel() {
	if level := s.level.Load(); level != nil {
		level.Set(Level(s.inForce.Load().Config))
	}
}

// Level is the level of the log that a configuration asks for.
func Level(c config.Config) slog.Level {
	if c.Debug {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// listed are names for a line of the log, which has a bound.
func listed(names []string) string {
	const most = 50
	if len(names) == 0 {
		return "nothing"
	}
	if more := len(names) - most; more > 0 {
		return strings.Join(names[:most], " ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, " ")
}
