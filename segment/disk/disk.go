// Package disk is the seam between the log and the operating system: every file that the log
// creates, writes, maps, syncs, renames or removes passes through it.
//
// [OS] is the real implementation. Package disktest has another one, in memory, which tests can
// crash, fill and break at any call.
//
// Errors name the operation and the path, and can be examined with [errors.Is]: fs.ErrExist,
// fs.ErrNotExist, fs.ErrPermission, [ErrLocked]. [IsFull] tells a full disk, and [IsTransient] a
// shortage of descriptors or memory, from the rest.
package disk

import (
	"errors"
	"io"
	"syscall"
)

// FS is a file system. Its methods may be called from several goroutines.
//
// What a power cut leaves: a creation, a rename or a removal is certain only after [FS.SyncDir] of
// the directory that holds the name, and the content of a file only after [File.Sync]. A new file
// needs both: if its name was never synced, its synced content may be gone, too.
type FS interface {
	// Create makes an empty file and opens it for reading and writing. If the name is taken, the
	// error is fs.ErrExist.
	Create(name string) (File, error)

	// Open opens a file for reading and writing. If there is no such name, the error is
	// fs.ErrNotExist.
	Open(name string) (File, error)

	// OpenRead opens a file for reading only. If there is no such name, the error is
	// fs.ErrNotExist.
	OpenRead(name string) (File, error)

	// ReadDir lists a directory, sorted by name. Names that vanish meanwhile are left out. Symbolic
	// links are not followed.
	ReadDir(dir string) ([]Entry, error)

	// Mkdir makes a directory and the parents it lacks. If it exists already, that is not an error.
	// See [MakeDir] for one that survives a power cut.
	Mkdir(dir string) error

	// Rename moves a file or directory. It replaces a file at the new name atomically, even across
	// a crash: the name means the old file or the new one. If there is a directory at the new name,
	// the error is fs.ErrExist.
	Rename(from, to string) error

	// Remove removes a file or an empty directory. Open handles and maps of a removed file stay
	// usable.
	Remove(name string) error

	// Allocated returns the bytes of the disk blocks that a file has, or that a directory itself
	// has. This is not its size. Symbolic links are not followed.
	Allocated(name string) (int64, error)

	// Free returns the bytes that the file system of dir has left for this user.
	Free(dir string) (int64, error)

	// SyncDir makes the creations, renames and removals of names in dir survive a power cut. For a
	// rename between two directories, either one will do.
	SyncDir(dir string) error

	// Volume returns the file system that a file is on, so that it can be synced as a whole. The
	// file must not be removed. The error is [errors.ErrUnsupported] where such a sync promises
	// less than a sync of each file, or does not report all errors.
	Volume(file string) (Volume, error)

	// Lock takes the exclusive lock on a file and holds it until the result is closed or the
	// process ends. It creates the file if need be, and does not remove it. It does not wait: if
	// somebody has the lock, in this process or another, the error is [ErrLocked].
	Lock(name string) (io.Closer, error)

	// LockDir is Lock for a directory, which must be there. The lock does not keep anybody from
	// what is in the directory.
	LockDir(dir string) (io.Closer, error)
}

// Volume is a mounted file system. Its methods may be called from several goroutines.
type Volume interface {
	// Holds reports whether a file or directory is on it.
	Holds(name string) bool

	// Sync does what File.Sync and FS.SyncDir do, for all files and directories on the volume,
	// including those of other programs. An error does not say which of them failed. In that case,
	// File.Sync and FS.SyncDir report the error of each, as if there had been no Sync.
	Sync() error

	// Close gives the handle back.
	io.Closer
}

// Entry is a name in a directory.
type Entry struct {
	Name string // without the directory
	Size int64  // bytes; 0 for a directory
	Dir  bool

	Allocated int64 // bytes of the disk blocks it has; 0 for a directory
}

// File is an open file. Its methods may be called from several goroutines, also while others load
// from and store into its maps. But call Close and Unmap only when nobody uses what they end.
type File interface {
	io.ReaderAt
	io.WriterAt

	// Close closes the handle and syncs nothing. Maps stay usable after it, and so does Unmap.
	io.Closer

	// Held reports whether the file has its descriptor at hand. One that shares descriptors with
	// others may have given its own up: then ReadAt, WriteAt, Truncate, Allocate, Sync, Map and
	// WriteOut open the file again, which takes some microseconds, and may fail as Open does.
	Held() bool

	// Size returns the size in bytes.
	Size() (int64, error)

	// Allocated returns the bytes of the disk blocks that the file has. They may change without a
	// call, when the file system writes data back.
	Allocated() (int64, error)

	// Truncate sets the size. Bytes that are cut off are gone, and their blocks are free. Bytes
	// that are added read as zeros and have no blocks (see Allocate). Touching a map after the new
	// end is a fault.
	Truncate(size int64) error

	// Allocate grows the file to at least off+n bytes, n at least 1, and gives the bytes off..off+n
	// disk blocks, so that a later store or write there cannot meet a full disk. Bytes below the
	// old size keep their values; new ones are zero. If the file system cannot allocate, Allocate
	// writes zeros after the end instead, which leaves holes below the end as they are. After an
	// error the file may have grown, by blocks that exist. Use [IsFull] to recognize a full disk.
	Allocate(off, n int64) error

	// Sync returns when the size, and all content that was written or stored into a map before the
	// call, is on stable storage. After an error, what was not synced before may be lost for good.
	// A later Sync that succeeds says nothing about it.
	Sync() error

	// Map maps the file's first n bytes, n at least 1. The map is shared: stores are writes, and
	// visible through other maps and ReadAt. n may exceed the size; touching bytes after the end is
	// a fault until the file has grown. A writable map needs a file opened for writing. Maps of one
	// file may overlap.
	Map(n int, writable bool) ([]byte, error)

	// Unmap ends a map. b is what Map returned, not a part of it.
	Unmap(b []byte) error

	// ReadAhead begins to read the file's first n bytes into memory and does not wait for them. It
	// only improves speed and may do nothing.
	ReadAhead(n int64)

	// Populate makes the pages that lie in b ready in memory, so that stores there meet no page
	// fault until the next Sync. b is a part of a writable map, with disk blocks. The pages count
	// as stored into, so Sync writes them. Populate only improves speed and may do nothing.
	Populate(b []byte)

	// WriteOut begins to write out b, a part of a map at off in the file that nobody stores into
	// any more. The next Sync then has less to do and delays nobody who stores elsewhere in the
	// file. Reading b may meet page faults afterwards. WriteOut only improves speed and may do
	// nothing. An error counts like that of a failed Sync.
	WriteOut(b []byte, off int64) error
}

// ErrLocked is the error of a lock that somebody else holds.
var ErrLocked = errors.New("in use by another process")

// IsFull reports whether err means that the disk, or the user's share of it, is full. After space
// was freed, a retry may succeed.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// IsTransient reports whether err means that this process or the machine is short of descriptors or
// memory. The call had no effect, and a retry may succeed.
func IsTransient(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOMEM)
}
