package disk

// Syncing a directory takes a descriptor. It must not wait until clients and queues leave one free:
// otherwise what was promised to be durable would not be. So one is kept in reserve.

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// spare is this process's: descriptors are counted by process.
var spare spareDescriptor

type spareDescriptor struct {
	mu   sync.Mutex // held while it is in use
	held *os.File
}

// open is os.Open that uses the spare descriptor if there is no other. It fails if somebody else
// takes that first.
func (s *spareDescriptor) open(name string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.Open(name)
	if s.held != nil && (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) {
		s.held.Close()
		s.held = nil
		f, err = os.Open(name)
	}
	return f, err
}

// close closes what open opened, and reserves a descriptor again.
func (s *spareDescriptor) close(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Close()
	if s.held == nil {
		s.held, _ = os.Open(os.DevNull)
	}
}
