package disk

// To sync a directory takes a descriptor, and must not wait until clients and queues leave one:
// what was promised to be durable would not be. So one is kept back.

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// spare is the process's, as descriptors are.
var spare spareDescriptor

type spareDescriptor struct {
	mu   sync.Mutex // held while it is given up
	held *os.File
}

// open is os.Open that may have the spare descriptor when there is no other. Somebody else may be
// quicker to take it: then it fails for now.
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

// close closes what open opened, and keeps a descriptor back again.
func (s *spareDescriptor) close(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Close()
	if s.held == nil {
		s.held, _ = os.Open(os.DevNull)
	}
}
