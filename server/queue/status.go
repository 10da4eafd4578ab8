package queue

// What the server takes from its clients: the word for it, which is kept in the data directory, and
// the end of the waits of those who are to get nothing any more.

import (
	"strings"

	"github.com/darner/darner/wal/datadir"
)

// mostStatus bounds the file; a word is shorter.
const mostStatus = 64

// ReadStatus returns the word that WriteStatus wrote last; empty if there is none. It may wait for
// the disk.
func (r *Registry) ReadStatus() (string, error) {
	b, err := readFile(r.fs, r.dir, datadir.StatusName, mostStatus)
	return strings.TrimSpace(string(b)), err
}

// WriteStatus keeps a word for the next start, durably. It waits for the disk.
func (r *Registry) WriteStatus(word string) error {
	return replaceFile(r.fs, r.dir, datadir.StatusName, []byte(word+"\n"))
}

// EndWaits ends with nothing the waits of all who wait for an item, in any queue.
func (r *Registry) EndWaits() {
	for _, s := range r.known() {
		wake(s.endWaits())
	}
}

// endWaits returns whom to wake.
func (s *store) endWaits() (woken []func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waited) > 0 {
		woken = append(woken, s.waited[0].releaseWaitersLocked()...)
	}
	return woken
}
