// Package datadir is a data directory: how a queue's name becomes its directory's, what else lies
// there, the one lock of it all, and what of this is in a directory that a tool was given.
package datadir

import (
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/darner/darner/segment/disk"
)

// What a data directory holds besides queues. No queue's directory begins with a dot.
const (
	LockName       = ".lock"       // held by a server, or by a tool that changes something
	TrashName      = ".trash"      // deleted queues on their way out
	QuarantineName = ".quarantine" // damaged bytes set aside, by queue
	ReserveName    = ".reserve"    // disk for compaction to work with when there is no other
	ScrubbedName   = ".scrubbed"   // when cold segments were last verified
	ClockName      = ".clock"      // how the machine's clock was set
)

// NewSuffix ends the name of a file that is about to take the name before it.
const NewSuffix = ".new"

// servers reports whether a file at the top of a data directory is the server's.
func servers(name string) bool {
	switch name {
	case LockName, ReserveName, disk.ProbeName, disk.ProbeNewName:
		return true
	}
	return slices.Contains([]string{ScrubbedName, ClockName}, strings.TrimSuffix(name, NewSuffix))
}

// Lock takes the lock of a data directory. disk.ErrLocked: somebody else has it.
func Lock(fsys disk.FS, dir string) (io.Closer, error) {
	return fsys.Lock(filepath.Join(dir, LockName))
}
