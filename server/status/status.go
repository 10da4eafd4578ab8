// Package status is what a server takes from its clients: everything, no more items, or nothing
// new. The operator sets it. Each request asks for it, and whatever shows it reads it.
package status

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
)

// State is what is taken.
type State uint32

const (
	Up        State = iota // everything
	ReadOnly               // no sets, and nothing that discards items; gets go on
	Quiescent              // no gets either; what is open may still be confirmed and returned
)

var words = [...]string{Up: "UP", ReadOnly: "READONLY", Quiescent: "QUIESCENT"}

// String returns the protocol's word, in capitals.
func (s State) String() string { return words[s] }

// Parse reads the word of a state, in any case.
func Parse(word string) (s State, ok bool) {
	for i, w := range words {
		if strings.EqualFold(word, w) {
			return State(i), true
		}
	}
	return Up, false
}

// Writes reports whether items may be set and discarded.
func (s State) Writes() bool { return s == Up }

// Gets reports whether items may be asked for.
func (s State) Gets() bool { return s != Quiescent }

// ErrStopping is for a change that comes too late.
var ErrStopping = errors.New("the server is stopping")

// Status is the state of one server. Its methods may be called from any goroutine.
type Status struct {
	o        Options
	inForce  atomic.Uint32
	stopping atomic.Bool

	mu sync.Mutex // held for a change
}

// Options of a status; both may be nil.
type Options struct {
	Keep    func(State) error // notes a state for the next start; may wait for the disk
	Changed func(State)       // called after each change, in their order
}

// New returns a status with the state that the last run was left in.
func New(at State, o Options) *Status {
	s := &Status{o: o}
	s.inForce.Store(uint32(at))
	return s
}

// State is the one in force, by which requests are taken or refused. It is one atomic load.
func (s *Status) State() State { return State(s.inForce.Load()) }

// Shown is the state to tell: a server that stops is Quiescent. Requests that were sent before it
// stopped are still taken by the state in force.
func (s *Status) Shown() State {
	if s.stopping.Load() {
		return Quiescent
	}
	return s.State()
}

// Set changes the state and returns the one before. It is kept first: after an error nothing has
// changed. It may wait for the disk.
func (s *Status) Set(to State) (was State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.State()
	switch {
	case s.stopping.Load():
		return was, ErrStopping
	case was == to:
		return was, nil
	}
	if s.o.Keep != nil {
		if err := s.o.Keep(to); err != nil {
			return was, err
		}
	}
	s.inForce.Store(uint32(to))
	if s.o.Changed != nil {
		s.o.Changed(to)
	}
	return was, nil
}

// Stop says that the server stops. The next one starts with the state in force.
func (s *Status) Stop() { s.stopping.Store(true) }
