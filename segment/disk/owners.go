package disk

// Whose new files are. A tool that root runs makes files for a server that runs as another user.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Owners gives what is made owner, group and mode: those of the file that it replaces, else those
// of its directory, without what that grants to all users. See [OS]. Its methods may be called from
// several goroutines.
type Owners struct {
	mu     sync.Mutex
	given  []Owner
	failed []error
}

// Owner is a user and a group, by their numbers.
type Owner struct{ User, Group int }

// Given returns whom something was given to that this process would have owned itself.
func (o *Owners) Given() []Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.given)
}

// Err says what could not be given to whom it should belong; nil if all was.
func (o *Owners) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.failed...)
}

// attributes are what a file takes over from another.
type attributes struct {
	owner Owner
	mode  fs.FileMode
}

func attributesOf(info fs.FileInfo) attributes {
	s := info.Sys().(*syscall.Stat_t)
	return attributes{Owner{int(s.Uid), int(s.Gid)}, info.Mode() & (fs.ModePerm | fs.ModeSetgid)}
}

// made is called when f was made. It does nothing for nil Owners.
func (o *Owners) made(f *os.File) {
	if o == nil {
		return
	}
	dir, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		o.fail(err)
		return
	}
	want := attributesOf(dir)
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		want.mode = want.mode&(0o770|fs.ModeSetgid) | 0o700
	} else {
		want.mode = want.mode&0o660 | 0o600
	}
	o.give(f, want)
}

// replaces is called before the file from is renamed over to, which may be there or not.
func (o *Owners) replaces(from, to string) {
	if o == nil {
		return
	}
	old, err := os.Lstat(to)
	if err != nil || !old.Mode().IsRegular() {
		return
	}
	// Who may write to the directory could put a link in place of the file.
	f, err := os.OpenFile(from, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		o.fail(err)
		return
	}
	defer f.Close()
	o.give(f, attributesOf(old))
}

// give sets the attributes of a file that has one name alone, or of a directory.
func (o *Owners) give(f *os.File, want attributes) {
	info, err := f.Stat()
	if err != nil {
		o.fail(err)
		return
	}
	if s := info.Sys().(*syscall.Stat_t); !info.IsDir() && s.Nlink != 1 {
		o.fail(fmt.Errorf("%s: has %d names, so its owner is left as it is", f.Name(), s.Nlink))
		return
	}
	has := attributesOf(info)
	if has.owner != want.owner {
		if err := f.Chown(want.owner.User, want.owner.Group); err != nil {
			o.fail(fmt.Errorf("%w: it should belong to user %d, group %d", err, want.owner.User,
				want.owner.Group))
			f.Chown(-1, want.owner.Group) // a member of the group may do that
		} else {
			o.note(want.owner)
		}
	}
	if has != want { // a new owner may have changed the mode
		if err := f.Chmod(want.mode); err != nil {
			o.fail(err)
		}
	}
}

func (o *Owners) note(to Owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.given, to) {
		o.given = append(o.given, to)
	}
}

const maxFailed = 10 // errors that are kept

func (o *Owners) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failed) < maxFailed {
		o.failed = append(o.failed, err)
	}
}

// mkdir is os.MkdirAll.
func (o *Owners) mkdir(dir string) error {
	err := os.Mkdir(dir, dirPerm)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := o.mkdir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirPerm)
	}
	if errors.Is(err, fs.ErrExist) {
		if info, e := os.Stat(dir); e == nil && info.IsDir() {
			return nil
		}
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		o.fail(err)
		return nil
	}
	defer f.Close()
	o.made(f)
	return nil
}
