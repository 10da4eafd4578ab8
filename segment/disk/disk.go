// Package disk is the seam between the log and the operating system: every
// file the log creates, writes, maps, syncs, renames or removes passes here.
//
// [OS] is the real implementation. Package disktest has another, in memory,
// that tests can crash, fill and break at any call.
//
// Errors carry the operation and the path and can be examined with
// [errors.Is]: fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, [ErrLocked];
// [IsFull] tells a full disk from the rest.
package disk

import (
	"errors"
	"io"
	"syscall"
)

// FS is a file system. Its methods may be called from several goroutines.
//
// What a power cut leaves: creations, renames and removals are certain only
// after [FS.SyncDir] of the directory that holds the name, the content of a
// file only after [File.Sync]. Each needs the other: the synced content of a
// file whose name was never synced may be gone.
type FS interface {
	// Create makes an empty file and opens it for reading and writing.
	// A name that is taken is fs.ErrExist.
	Create(name string) (File, error)

	// Open opens a file for reading and writing. A name that is not there is
	// fs.ErrNotExist.
	Open(name string) (File, error)

	// OpenRead opens a file for reading only. A name that is not there is
	// fs.ErrNotExist.
	OpenRead(name string) (File, error)

	// ReadDir lists a directory, sorted by name. Names that vanish meanwhile
	// are left out. Symbolic links are not followed.
	ReadDir(dir string) ([]Entry, error)

	// Mkdir makes a directory and the parents it lacks. A directory that is
	// there already is no error.
	Mkdir(dir string) error

	// Rename moves a file or directory. A file at the new name is replaced,
	// atomically, also across a crash: the name means the old file or the
	// new one. A directory at the new name is fs.ErrExist.
	Rename(from, to string) error

	// Remove removes a file or an empty directory. Open handles and maps of
	// a removed file stay usable.
	Remove(name string) error

	// Allocated returns the bytes of the disk blocks that a file or a directory
	// itself has, which is not its size. Symbolic links are not followed.
	Allocated(name string) (int64, error)

	// Free returns the bytes that the file system of dir has left for this user.
	Free(dir string) (int64, error)

	// SyncDir makes the creations, renames and removals of names in dir
	// survive a power cut. Of a rename between two directories either will do.
	SyncDir(dir string) error

	// Whole returns the file system that a file is on, to sync it as a whole. The file has to stay. It is
	// [errors.ErrUnsupported] where that would promise less than to sync each file, or would not tell of all errors.
	Whole(file string) (Whole, error)

	// Lock takes the exclusive lock on a file, which it creates if need be,
	// and holds it until the result is closed or the process ends. It does not
	// wait: when somebody has the lock, in this process or another, it is
	// [ErrLocked]. The file stays behind.
	Lock(name string) (io.Closer, error)
}

// Whole is a file system as a whole. Its methods may be called from several goroutines.
type Whole interface {
	// Holds reports whether a file or directory is on it.
	Holds(name string) bool

	// Sync does what File.Sync and FS.SyncDir do, for all files and directories on it, other programs' too.
	// An error does not say whose: then File.Sync and FS.SyncDir of each tell, as if there had been no Sync.
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

// File is an open file. Its methods may be called from several goroutines,
// also while others load from and store into its maps; but Close and Unmap
// only when nobody uses what they take away.
type File interface {
	io.ReaderAt
	io.WriterAt

	// Close gives the handle back and syncs nothing. Maps stay usable, and
	// Unmap works, after it.
	io.Closer

	// Size returns the size in bytes.
	Size() (int64, error)

	// Allocated returns the bytes of the disk blocks that the file has. It may
	// change without a call, when the file system writes what it was given.
	Allocated() (int64, error)

	// Truncate sets the size. Bytes cut off are gone and their blocks given
	// back; bytes added read as zeros and have no blocks (see Allocate).
	// Touching a map behind the new end is a fault.
	Truncate(size int64) error

	// Allocate grows the file to at least off+n bytes, n at least 1, and gives
	// [off, off+n) disk blocks, so that a later store or write there cannot
	// meet a full disk. Bytes below the old size keep their values, new ones are zero.
	// Where the file system cannot allocate it writes zeros behind the end,
	// which leaves holes below the end as they are. After an error the file
	// may have grown, by blocks that exist; a full disk is told by [IsFull].
	Allocate(off, n int64) error

	// Sync returns when the size and all content written or stored into a map
	// before the call is on stable storage. After an error what was not
	// synced before may be lost for good: a later Sync that succeeds says
	// nothing about it.
	Sync() error

	// Map maps the file's first n bytes, shared: stores are writes, and
	// visible through other maps and ReadAt. n, at least 1, may exceed the
	// size: what is behind the end can be touched once the file has grown,
	// before that it is a fault. A writable map needs a file opened for
	// writing. Maps of one file may overlap.
	Map(n int, writable bool) ([]byte, error)

	// Unmap ends a map: b is what Map returned, not a part of it.
	Unmap(b []byte) error

	// ReadAhead begins to read the file's first n bytes into memory, and does not wait for them. It is
	// for speed alone and may do nothing.
	ReadAhead(n int64)

	// Populate has the pages that lie in b, a part of a writable map with disk blocks, ready in
	// memory: until the next Sync a store there meets no page fault. They count as stored into, so
	// a Sync writes them. It is for speed alone and may do nothing.
	Populate(b []byte)

	// WriteOut begins to write out b, a part of a map that stands at off in the file and that nobody
	// stores into any more. It is for speed alone and may do nothing: the Sync that comes next has
	// less to do, and holds up nobody who stores elsewhere in the file. Who reads b next may meet
	// page faults. An error is that of a failed Sync.
	WriteOut(b []byte, off int64) error
}

// ErrLocked is the error of a lock that somebody else holds.
var ErrLocked = errors.New("locked by another process")

// IsFull reports whether err means that the disk, or what the user may have
// of it, is full: what a retry after freeing space can cure.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
