package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

const fixtures = "../../testdata/fsck/"

// dataOf copies a fixture, so that it may be changed.
func dataOf(t *testing.T, fixture string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixtures+fixture)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExitCodesAreThoseOfFsck(t *testing.T) {
	damaged := dataOf(t, "lost-record")
	for _, c := range []struct {
		want int
		args []string
	}{
		{0, []string{dataOf(t, "clean")}},
		{4, []string{damaged}},
		{4, []string{damaged, "--repair", "--dry-run"}},
		{1, []string{damaged, "--repair"}},
		{0, []string{"--repair", damaged}},
		{0, []string{damaged + "/orders"}},
		{8, []string{"--repair", dataOf(t, "newer-format")}},
		{8, []string{damaged + "/none"}},
		{8, []string{t.TempDir()}},
		{16, nil},
		{16, []string{"--dry-run", damaged}},
		{16, []string{damaged, "more"}},
		{16, []string{"--mend", damaged}},
		{0, []string{"space", damaged}},
		{16, []string{"space"}},
		{16, []string{"space", "--bogus", damaged}},
		{16, []string{"dump", "--bogus", damaged, "orders"}},
	} {
		if out, _, code := says(t, "", c.args...); code != c.want {
			t.Errorf("%q: got exit code %d, want %d:\n%s", c.args, code, c.want, out)
		}
	}
}

func TestJSONIsALineForEverythingThatIsFound(t *testing.T) {
	out, _, code := says(t, "", "--json", "--repair", dataOf(t, "lost-records"))
	if code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
	n := make(map[string]int)
	for line := range strings.Lines(out) {
		var v map[string]map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil || len(v) != 1 {
			t.Fatalf("got %v, want one object in: %s", err, line)
		}
		for kind := range v {
			n[kind]++
		}
	}
	if n["finding"] != 3 || n["repair"] != 4 || n["queue"] != 1 || n["result"] != 1 {
		t.Errorf("got %v, want 3 findings, 4 repairs, a queue and a result in\n%s", n, out)
	}
}

func TestSpaceDrawsABarForEverySegment(t *testing.T) {
	out, _, _ := says(t, "", "space", dataOf(t, "lost-record"))
	if bars := strings.Count(out, ".seg"); bars != 3 || !strings.Contains(out, "####") ||
		!strings.Contains(out, "xx") || !strings.Contains(out, "----") {
		t.Errorf("got %d bars, want 3 in\n%s", bars, out)
	}
}

func TestAReportThatCannotBeWrittenIsToldOf(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no device that is always full: ", err)
	}
	defer full.Close()
	for _, args := range [][]string{{"DATA"}, {"--json", "DATA"}, {"--json", "--repair", "DATA"},
		{"space", "DATA"}} {
		args[len(args)-1] = dataOf(t, "lost-records")
		log, code := saysTo(t, full, args...)
		if code&8 == 0 || !strings.Contains(log, "could not be written") {
			t.Errorf("%q: got exit code %d, %q, want 8 and why", args, code, log)
		}
	}
}

// saysTo runs the command with an output that fails.
func saysTo(t *testing.T, out *os.File, args ...string) (stderr string, code int) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	defer func(out, err *os.File) { os.Stdout, os.Stderr = out, err }(os.Stdout, os.Stderr)
	os.Stdout, os.Stderr = out, log
	code = run(append([]string{"darner-fsck"}, args...))
	return read(t, log.Name()), code
}

// A server is noticed whatever path leads to its queue.
func TestAServerIsNoticedThroughLinks(t *testing.T) {
	dir := dataOf(t, "lost-record")
	server, err := disk.OS{}.Lock(filepath.Join(dir, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	links := t.TempDir()
	for link, to := range map[string]string{"queue": dir + "/orders", "all": dir} {
		if err := os.Symlink(to, filepath.Join(links, link)); err != nil {
			t.Fatal(err)
		}
	}
	for cwd, paths := range map[string][]string{
		links:                         {"queue", "queue/", "all", "all/orders", links + "/queue"},
		filepath.Join(links, "queue"): {".", "../orders", ".."},
	} {
		t.Chdir(cwd)
		for _, path := range paths {
			for _, args := range [][]string{{path}, {"--repair", path}} {
				if out, log, code := says(t, "", args...); code != 8 ||
					!strings.Contains(log, "in use") {
					t.Errorf("in %s, %q: got exit code %d, want 8:\n%s%s", cwd, args, code, out,
						log)
				}
			}
		}
	}
}

// No server can start while a single queue is repaired.
func TestARepairOfALoneQueueMakesALock(t *testing.T) {
	dir := dataOf(t, "lost-record")
	if _, _, code := says(t, "", dir+"/orders"); code != 4 {
		t.Errorf("got exit code %d of a check, want 4", code)
	}
	if _, err := os.Stat(dir + "/.lock"); err == nil {
		t.Error("a check made a lock")
	}
	if _, _, code := says(t, "", "--repair", dir+"/orders"); code != 1 {
		t.Errorf("got exit code %d of a repair, want 1", code)
	}
	if _, err := os.Stat(dir + "/.lock"); err != nil {
		t.Error(err)
	}
}

// A program may use the log without a server.
func TestAQueueThatAProgramHasOpenIsLeftAlone(t *testing.T) {
	dir := dataOf(t, "lost-record")
	open, err := wal.Open(dir+"/orders", wal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{dir}, {"--repair", dir}, {"--repair", dir + "/orders"}, {"dump", dir, "orders"},
		{"rewind", "--to", "oldest", "--yes", dir, "orders"}, {"import", dir, "orders"},
	} {
		out, log, code := says(t, `{"size":1,"text":"a"}`+"\n", args...)
		if code != 8 || !strings.Contains(out+log, "in use") && !strings.Contains(log, "open already") {
			t.Errorf("%q: got exit code %d, want 8:\n%s%s", args, code, out, log)
		}
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, code := says(t, "", "--repair", dir); code&8 != 0 {
		t.Errorf("got exit code %d when the program has ended", code)
	}
}
