package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// someone is a user and group that this process is not.
var someone = Owner{12345, 12346}

// ofSomeone makes a directory of someone's.
func ofSomeone(t *testing.T, mode os.FileMode) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	own(t, dir, someone, mode)
	return dir
}

func own(t *testing.T, path string, o Owner, mode os.FileMode) {
	t.Helper()
	if err := os.Chown(path, o.User, o.Group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func expectAttributes(t *testing.T, path string, o Owner, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := attributesOf(info), (attributes{o, mode}); got != want {
		t.Errorf("%s: got %v, want %v", path, got, want)
	}
}

func make1(t *testing.T, fsys FS, path string) {
	t.Helper()
	f, err := fsys.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestWhatIsMadeHasTheOwnerAndModeOfItsDirectory(t *testing.T) {
	for dirMode, want := range map[os.FileMode][2]os.FileMode{
		0o750: {0o640, 0o750},
		0o755: {0o640, 0o750}, // what is in queues is not for everybody
		0o700: {0o600, 0o700},
		0o770: {0o660, 0o770},
	} {
		dir := ofSomeone(t, dirMode)
		fsys := OS{Owners: new(Owners)}
		make1(t, fsys, dir+"/a")
		lock, err := fsys.Lock(dir + "/lock")
		if err != nil {
			t.Fatal(err)
		}
		lock.Close()
		if err := fsys.Mkdir(dir + "/b/c"); err != nil {
			t.Fatal(err)
		}
		if err := fsys.Mkdir(dir + "/b/c"); err != nil {
			t.Errorf("got %v for a directory that is there", err)
		}
		make1(t, fsys, dir+"/b/c/d")
		for name, mode := range map[string]os.FileMode{
			"a": want[0], "lock": want[0], "b": want[1], "b/c": want[1], "b/c/d": want[0],
		} {
			expectAttributes(t, filepath.Join(dir, name), someone, mode)
		}
		if got := fsys.Owners.Given(); len(got) != 1 || got[0] != someone {
			t.Errorf("got %v as those that were given something, want %v", got, someone)
		}
		if err := fsys.Owners.Err(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatReplacesAFileHasItsOwnerAndMode(t *testing.T) {
	dir := ofSomeone(t, 0o750)
	fsys, other := OS{Owners: new(Owners)}, Owner{777, 778}
	make1(t, fsys, dir+"/old")
	own(t, dir+"/old", other, 0o604)
	make1(t, fsys, dir+"/new")
	if err := fsys.Rename(dir+"/new", dir+"/old"); err != nil {
		t.Fatal(err)
	}
	expectAttributes(t, dir+"/old", other, 0o604)
}

// Who may write to the directory must not have root give other files away.
func TestNothingIsGivenThroughALink(t *testing.T) {
	dir := ofSomeone(t, 0o750)
	for name, link := range map[string]func(from, to string) error{
		"hard": os.Link, "symbolic": os.Symlink,
	} {
		fsys, victim := OS{Owners: new(Owners)}, filepath.Join(t.TempDir(), "victim")
		for _, path := range []string{victim, dir + "/old"} {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		own(t, dir+"/old", someone, 0o666)
		if err := link(victim, dir+"/new"); err != nil {
			t.Fatal(err)
		}
		if err := fsys.Rename(dir+"/new", dir+"/old"); err != nil {
			t.Fatal(err)
		}
		expectAttributes(t, victim, Owner{}, 0o600)
		if err := fsys.Owners.Err(); err == nil || !strings.Contains(err.Error(), "new") {
			t.Errorf("%s link: got %v, want an error about it", name, err)
		}
		os.Remove(dir + "/old")
	}
}

func TestWithoutOwnersFilesAreThoseOfTheProcess(t *testing.T) {
	dir := ofSomeone(t, 0o750)
	make1(t, OS{}, dir+"/a")
	expectAttributes(t, dir+"/a", Owner{os.Geteuid(), os.Getegid()}, 0o640)
}
