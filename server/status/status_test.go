package status

import (
	"errors"
	"slices"
	"testing"
)

func TestAStateIsReadInAnyCase(t *testing.T) {
	for word, want := range map[string]State{
		"up": Up, "UP": Up, "ReadOnly": ReadOnly, "readonly": ReadOnly, "QUIESCENT": Quiescent,
	} {
		if got, ok := Parse(word); !ok || got != want {
			t.Errorf("got %v, %v for %q, want %v", got, ok, word, want)
		}
	}
	for _, word := range []string{"", "down", "read-only", "up ", "quiet"} {
		if got, ok := Parse(word); ok {
			t.Errorf("got %v for %q, want none", got, word)
		}
	}
}

func TestAChangeIsKeptBeforeItIsInForce(t *testing.T) {
	var kept, changed []State
	var s *Status
	s = New(ReadOnly, Options{
		Keep: func(to State) error {
			if s.State() == to {
				t.Errorf("got %v in force, want it kept first", to)
			}
			kept = append(kept, to)
			return nil
		},
		Changed: func(to State) { changed = append(changed, to) },
	})
	for _, to := range []State{Quiescent, Quiescent, Up} {
		if _, err := s.Set(to); err != nil || s.State() != to || s.Shown() != to {
			t.Errorf("got %v in force and %v shown, %v, want %v", s.State(), s.Shown(), err, to)
		}
	}
	want := []State{Quiescent, Up}
	if !slices.Equal(kept, want) || !slices.Equal(changed, want) {
		t.Errorf("got %v kept and %v told, want %v", kept, changed, want)
	}
}

func TestAChangeThatCannotBeKeptIsNone(t *testing.T) {
	full := errors.New("no space")
	s := New(Up, Options{
		Keep:    func(State) error { return full },
		Changed: func(State) { t.Error("got a change, want none") },
	})
	if was, err := s.Set(Quiescent); err != full || was != Up || s.State() != Up {
		t.Errorf("got %v before and %v after, %v, want UP and the error", was, s.State(), err)
	}
}

func TestAServerThatStopsShowsQuiescentAndKeepsItsState(t *testing.T) {
	s := New(ReadOnly, Options{Keep: func(State) error { t.Error("got a state kept"); return nil }})
	s.Stop()
	if s.Shown() != Quiescent || s.State() != ReadOnly {
		t.Errorf("got %v shown, %v in force, want QUIESCENT and READONLY", s.Shown(), s.State())
	}
	if _, err := s.Set(Up); err != ErrStopping {
		t.Errorf("got %v for a change, want ErrStopping", err)
	}
}
