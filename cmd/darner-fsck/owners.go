package main

// Whose the files are that were written.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal/datadir"
)

// files is the file system of a run. What is written keeps the owner of what it replaces, or has
// that of its directory: root may run this for a server of another user.
var files disk.OS

// sayOwners says whom files were given to, if not to who runs this. It is false if some could not
// be given.
func sayOwners(o *disk.Owners) (all bool) {
	for _, owner := range o.Given() {
		fmt.Fprintf(os.Stderr, "darner-fsck: what was written belongs to %s, "+
			"as what it replaces or its directory\n", nameOf(owner))
	}
	err := o.Err()
	if err != nil {
		fmt.Fprintf(os.Stderr, "darner-fsck: the server may not be able to open what was written: "+
			"%s (run this as root or as the server's user)\n", firstLine(err))
	}
	return err == nil
}

// makeData is datadir.Make. Of a new directory it says that it is root's: no server that runs as
// another user can open that.
func makeData(path string) (d *datadir.Dir, lock io.Closer, err error) {
	_, missing := files.Allocated(path)
	d, lock, err = datadir.Make(files, path, fsck.IsLogFile)
	if err != nil || !errors.Is(missing, fs.ErrNotExist) {
		return d, lock, err
	}
	if s := new(unix.Stat_t); unix.Stat(path, s) == nil && s.Uid == 0 {
		fmt.Fprintf(os.Stderr, "darner-fsck: %s is new and belongs to root: "+
			"give it to the server's user (chown -R)\n", path)
	}
	return d, lock, nil
}

// nameOf is user:group, by name where they have one.
func nameOf(o disk.Owner) string {
	name, group := strconv.Itoa(o.User), strconv.Itoa(o.Group)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return name + ":" + group
}
