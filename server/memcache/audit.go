package memcache

// What clients discard on purpose, and what they do to the server, is logged with the client's
// address: whose queue is empty all of a sudden will want to know.

import (
	"context"
	"log/slog"
	"sync"

	"github.com/darner/darner/server/metrics"
)

// mostAudited is how many such commands are logged in a minute. The rest are only counted: no
// client fills the disk with lines.
const mostAudited = 100

// unlogged is the trouble of those that are not.
var unlogged = &metrics.Trouble{
	Level: slog.LevelInfo, Text: "administrators' commands are%s too many to log each", Global: true,
}

// audited counts them.
type audited struct {
	sync.Mutex
	minute int64 // of Env.Steady
	lines  int   // in it
}

// mayLog reports whether one more command is logged in this minute.
func (a *audited) mayLog(minute int64) bool {
	a.Lock()
	defer a.Unlock()
	if minute != a.minute {
		a.minute, a.lines = minute, 0
	}
	a.lines++
	return a.lines <= mostAudited
}

// lostItems is how many items a queue is about to lose, as far as is known.
func lostItems(q Queue) slog.Attr {
	was, known := q.KnownStats()
	if !known {
		return slog.String("items", "unknown")
	}
	return slog.Int64("items", was.Items)
}

// audit logs what the client's command has done.
func (s *Session) audit(what string, attrs ...slog.Attr) {
	if !s.env.audited.mayLog(s.env.Steady() / 60_000) {
		s.env.Episodes.Note(unlogged, "", 1, nil)
		return
	}
	attrs = append(attrs, slog.String("peer", s.peer.Addr))
	s.env.Logger.LogAttrs(context.Background(), slog.LevelInfo, what, attrs...)
}
