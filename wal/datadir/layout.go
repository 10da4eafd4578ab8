// Package datadir is a data directory: the names of queues and of their directories, what else is
// in it, its one lock, and what of this is in a directory that a tool was given.
package datadir

import (
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/darner/darner/segment/disk"
)

// What a data directory holds besides queues. The directory of a queue does not begin with a dot.
const (
	LockName       = ".lock"       // held by a server, or by a tool that changes something
	TrashName      = ".trash"      // deleted queues on their way out
	QuarantineName = ".quarantine" // damaged bytes that were set aside, by queue
	ReserveName    = ".reserve"    // disk that compaction uses when there is no other
	ScrubbedName   = ".scrubbed"   // when cold segments were last verified
	ClockName      = ".clock"      // how the machine's clock was set
	StatusName     = ".status"     // what the server takes from its clients
)

// NewSuffix ends the name of a file that will take the name before it.
const NewSuffix = ".new"

// ofServer reports whether a file at the top of a data directory belongs to the server.
func ofServer(name string) bool {
	switch name {
	case LockName, ReserveName, disk.ProbeName, disk.ProbeNewName:
		return true
	}
	replaced := []string{ScrubbedName, ClockName, StatusName}
	return slices.Contains(replaced, strings.TrimSuffix(name, NewSuffix))
}

// Lock takes the lock of a data directory. The error is disk.ErrLocked if somebody else has it.
func Lock(fsys disk.FS, dir string) (io.Closer, error) {
	return fsys.Lock(filepath.Join(dir, LockName))
}
