package main

// Root mends, rewinds and imports for a server that runs as another user.

import (
	"bufio"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/tools/spawn"
)

// The server's user and group in these tests; they need not exist.
const (
	serverUser  = 12345
	serverGroup = 12346
)

// ofServer gives a data directory to the server's user. It skips the test if it cannot.
func ofServer(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	each(t, dir, func(path string, info fs.FileInfo) {
		if err := os.Chown(path, serverUser, serverGroup); err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o640)
		if info.IsDir() {
			mode = 0o750
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	})
}

func each(t *testing.T, dir string, do func(path string, info fs.FileInfo)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			do(path, info)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// expectServers fails for whatever is not the server's, or is open to all.
func expectServers(t *testing.T, dir, after string) {
	t.Helper()
	each(t, dir, func(path string, info fs.FileInfo) {
		s := info.Sys().(*syscall.Stat_t)
		if s.Uid != serverUser || s.Gid != serverGroup || info.Mode()&0o027 != 0 {
			t.Errorf("%s: %s belongs to %d:%d, mode %v", after, path, s.Uid, s.Gid, info.Mode())
		}
	})
}

func TestARepairByRootLeavesAllFilesToTheServersUser(t *testing.T) {
	entries, err := os.ReadDir(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	repaired := 0
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := dataOf(t, e.Name())
		ofServer(t, dir)
		_, log, code := says(t, "", "--repair", dir)
		expectServers(t, dir, e.Name())
		if strings.Contains(log, "what was written belongs to 12345:12346") {
			repaired++
		} else if strings.Contains(log, "belongs") || code&8 != 0 && strings.Contains(log, "owner") {
			t.Errorf("%s: got exit code %d, %s", e.Name(), code, log)
		}
	}
	if repaired < 20 {
		t.Errorf("%d repairs said whose the files are, want most", repaired)
	}
}

func TestANewDirectoryOfRootsIsToldOf(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes directories of root's")
	}
	dir := filepath.Join(t.TempDir(), "data")
	for i, want := range []bool{true, false} {
		_, log, code := says(t, `{"size":1,"text":"a"}`+"\n", "import", dir, "q")
		if code != 0 || strings.Contains(log, "is new and belongs to root") != want {
			t.Errorf("import %d: got exit code %d, %s", i+1, code, log)
		}
	}
}

// After root has repaired, rewound and imported, a server that runs as its user serves everything.
func TestAServerOpensWhatRootHasMendedRewoundAndImported(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the server")
	}
	dir, err := os.MkdirTemp("", "darner-owners-*") // a test's own directory is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, "data")
	if err := os.CopyFS(data, os.DirFS(fixtures+"lost-records")); err != nil {
		t.Fatal(err)
	}
	ofServer(t, data)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := spawn.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 300_000)
	item := `{"size":300000,"text":"` + large + `"}` + "\n"
	for _, args := range [][]string{
		{"--repair", data}, {"rewind", "--to", "oldest", "--yes", data, "orders"},
		{"import", data, "orders"}, {"import", data, "new"},
		{"rewind", "--undo", "--yes", data, "orders"}, {data},
	} {
		out, log, code := says(t, item+item, args...)
		if code > 1 {
			t.Fatalf("%q: got exit code %d:\n%s%s", args, code, out, log)
		}
		expectServers(t, data, strings.Join(args, " "))
	}
	cmd := spawn.Command(program, data)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: serverUser, Gid: serverGroup},
	}
	s, err := spawn.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.Ready(limit); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(limit))
	c := &client{t, s, conn, bufio.NewReader(conn)}
	for _, queue := range []string{"orders", "new"} {
		fmt.Fprintf(c, "set %s 0 0 1\r\na\r\nget %s\r\n", queue, queue)
		c.expect("STORED")
		if got, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(got, "VALUE "+queue) {
			t.Fatalf("got %q, %v of %s, want an item", got, err, queue)
		}
		for line := ""; line != "END\r\n"; {
			if line, err = c.r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	if strings.Contains(s.Log.String(), "permission") {
		t.Errorf("got this log:\n%s", s.Log)
	}
	c.stop()
}
