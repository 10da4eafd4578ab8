package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal"
)

// says runs the command with some input and returns what it writes, and its exit code.
func says(t *testing.T, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	dir := t.TempDir()
	in, out, log := os.Stdin, os.Stdout, os.Stderr
	defer func() { os.Stdin, os.Stdout, os.Stderr = in, out, log }()
	var files [3]*os.File
	for i, name := range []string{"in", "out", "log"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	io.WriteString(files[0], input)
	files[0].Seek(0, io.SeekStart)
	os.Stdin, os.Stdout, os.Stderr = files[0], files[1], files[2]
	code = run(append([]string{"darner-fsck"}, args...))
	return read(t, files[1].Name()), read(t, files[2].Name()), code
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const lines = `{"enqueued":1769860800000,"text":"one"}
{"enqueued":1769860801000,"flags":7,"text":"two"}
{"enqueued":1769860802000,"base64":"//8="}
`

// imported is a data directory with a queue of three items.
func imported(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	if _, log, code := says(t, lines, "import", data, "q"); code != 0 ||
		log != "3 more items, 8 bytes of payload: now in q\n" {
		t.Fatalf("got exit code %d, want 0: %s", code, log)
	}
	return data
}

func takeTwo(t *testing.T, data string) {
	t.Helper()
	l, err := wal.Open(filepath.Join(data, "q"), wal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := l.Consumer("", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, _, _, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExportedItemsCanBeImported(t *testing.T) {
	data := imported(t)
	out, log, code := says(t, "", "export", data, "q")
	want := `{"sequence":1,"enqueued":1769860800000,"expires":0,"flags":0,"size":3,"text":"one"}
{"sequence":2,"enqueued":1769860801000,"expires":0,"flags":7,"size":3,"text":"two"}
{"sequence":3,"enqueued":1769860802000,"expires":0,"flags":0,"size":2,"base64":"//8="}
`
	if out != want || log != "3 items, 8 bytes of payload\n" || code != 0 {
		t.Errorf("got exit code %d\n%s%s, want 0\n%s", code, out, log, want)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, log, code := says(t, "", "import", data, "copy", file); code != 0 {
		t.Errorf("got exit code %d, want 0: %s", code, log)
	}
	if again, _, _ := says(t, "", "export", data, "copy"); again != want {
		t.Errorf("got\n%s, want\n%s", again, want)
	}
	raw, _, code := says(t, "", "export", data, "q", "--format", "raw")
	if want := "\x03\x00\x00\x00\x00\x00\x00\x00one\x03\x00\x00\x00\x00\x00\x00\x00two\x02\x00\x00\x00\x00\x00\x00\x00\xff\xff"; raw != want || code != 0 {
		t.Errorf("got exit code %d, %q, want 0, %q", code, raw, want)
	}
	if _, log, code := says(t, raw, "import", "--format", "raw", data, "bare"); code != 0 {
		t.Errorf("got exit code %d, want 0: %s", code, log)
	}
	if again, _, _ := says(t, "", "export", data, "bare", "--format", "raw"); again != raw {
		t.Errorf("got %q, want %q", again, raw)
	}
}

func TestABrokenLineEndsAnImport(t *testing.T) {
	data := imported(t)
	_, log, code := says(t, lines+"{\n", "import", data, "q")
	if want := "3 more items, 8 bytes of payload: now in q\ndarner-fsck: line 4: the line breaks off\n"; log != want || code != fsck.ExitTrouble {
		t.Errorf("got exit code %d, %s, want %d, %s", code, log, fsck.ExitTrouble, want)
	}
}

func TestRawInputThatBreaksOffIsSaidSo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	_, log, code := says(t, "\x01\x00\x00\x00\x00\x00\x00\x00a\x05\x00\x00\x00\x00\x00\x00\x00ab",
		"import", "--format", "raw", data, "q")
	const want = "item 2 was not imported: the input breaks off 3 bytes before its end"
	if !strings.Contains(log, want) || code != fsck.ExitTrouble {
		t.Errorf("got exit code %d, %s, want %d", code, log, fsck.ExitTrouble)
	}
}

func TestDumpListsWhatIsOnDisk(t *testing.T) {
	data := imported(t)
	takeTwo(t, data)
	out, _, code := says(t, "", "dump", data, "q", "--as", "hex", "--from", "2")
	want := "  sequence  set                       expires                        flags        size  state    payload\n" +
		"         2  2026-01-31T12:00:01.000Z  -                                  7           3  taken    74776f\n" +
		"         3  2026-01-31T12:00:02.000Z  -                                  0           2  live     ffff\n"
	if out != want || code != 0 {
		t.Errorf("got exit code %d\n%s, want 0\n%s", code, out, want)
	}
	alone := filepath.Join(data, "q")
	out, _, _ = says(t, "", "dump", alone, "q", "--state", "live", "--limit", "5")
	if strings.Count(out, "\n") != 2 {
		t.Errorf("got\n%s, want one item of the queue's own directory", out)
	}
}

func TestRewindAsksBeforeItChangesAnything(t *testing.T) {
	data := imported(t)
	takeTwo(t, data)
	out, log, code := says(t, "y\n", "rewind", data, "q", "--to", "2026-01-31T12:00:01Z")
	if want := "q: 1 item, 3 bytes of payload, numbers 2 to 2, will be back in the queue.\n"; out != want || code != fsck.ExitUsage || !strings.Contains(log, "--yes") {
		t.Errorf("got exit code %d\n%s%s, want %d\n%s", code, out, log, fsck.ExitUsage, want)
	}
	for _, step := range []struct {
		args, want string
		live       int
	}{
		{"--to oldest --yes", "q: 2 items, 6 bytes of payload, numbers 1 to 2, will be back in the queue.\nDone.\n", 3},
		{"--to oldest", "q: 0 items, 0 bytes of payload will be back in the queue.\n", 3},
		{"--undo -y",
			"q: 2 items, 6 bytes of payload, numbers 1 to 2, will be taken again.\nDone.\n", 1},
	} {
		out, log, code := says(t, "",
			append([]string{"rewind", data, "q"}, strings.Fields(step.args)...)...)
		if out != step.want || log != "" || code != 0 {
			t.Errorf("%s: got exit code %d\n%s%s, want 0\n%s", step.args, code, out, log, step.want)
		}
		out, _, _ = says(t, "", "dump", data, "q", "--state", "live")
		if strings.Count(out, "\n") != 1+step.live {
			t.Errorf("after %s: got\n%s, want %d items", step.args, out, step.live)
		}
	}
	if _, log, code := says(t, "", "rewind", data, "q", "--undo"); code != fsck.ExitTrouble ||
		!strings.Contains(log, "no rewind to undo") {
		t.Errorf("got exit code %d, want %d: %s", code, fsck.ExitTrouble, log)
	}
}

func TestNothingIsReadOrWrittenBesideAServer(t *testing.T) {
	data := imported(t)
	lock, err := disk.OS{}.Lock(filepath.Join(data, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for _, args := range []string{"dump DATA q", "export DATA q", "import DATA q", "rewind DATA q --to oldest -y", "import --format kestrel DATA ../../testdata/kestrel/plain"} {
		_, log, code := says(t, lines, strings.Fields(strings.ReplaceAll(args, "DATA", data))...)
		if code != fsck.ExitTrouble || !strings.Contains(log, "in use by another process: stop the server") {
			t.Errorf("%s: got exit code %d, %s, want %d", args, code, log, fsck.ExitTrouble)
		}
	}
}

func TestKestrelsDirectoryIsImported(t *testing.T) {
	for _, step := range []struct {
		fixture, out, log string
		code              int
	}{
		{"many", "boats: 0 items, 0 bytes of payload\ncars: 1 item, 1 byte of payload\ncars+audit: 2 items, 2 bytes of payload\n", "notes.txt is not a journal and is left out", 0},
		{"open", "cars: 5 items, 5 bytes of payload, open: 2 of them\n", "", 0},
		{"torn", "cars: 1 item, 1 byte of payload\n", "cut short by a crash", 0},
		{"damaged", "cars: 3 items, 3 bytes of payload\n", "cars.1: damaged, bytes 45 to 45",
			fsck.ExitLeft},
	} {
		data := t.TempDir()
		out, log, code := says(t, "", "import", "--format", "kestrel", data,
			"../../testdata/kestrel/"+step.fixture)
		if out != step.out || code != step.code || !strings.Contains(log, step.log) ||
			step.log == "" && log != "" {
			t.Errorf("%s: got exit code %d\n%s%s, want %d\n%s%s", step.fixture, code, out, log,
				step.code, step.out, step.log)
		}
	}
	data := t.TempDir()
	empty := t.TempDir()
	_, log, code := says(t, "", "import", "--format", "kestrel", data, empty)
	if code != fsck.ExitTrouble || !strings.Contains(log, "holds no journals") {
		t.Errorf("got exit code %d, want %d: %s", code, fsck.ExitTrouble, log)
	}
}

// A second import, even after a kill in the middle of the first, doubles nothing.
func TestKestrelImportCanBeRepeated(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	do := func(wantOut, wantLog string, wantCode int, args ...string) {
		t.Helper()
		args = append([]string{"import", "--format", "kestrel", data,
			"../../testdata/kestrel/many"}, args...)
		out, log, code := says(t, "", args...)
		if out != wantOut || !strings.Contains(log, wantLog) || code != wantCode {
			t.Errorf("got exit code %d\n%s%s, want %d\n%s%s", code, out, log, wantCode, wantOut,
				wantLog)
		}
	}
	items := func(queue string) int {
		out, _, _ := says(t, "", "export", data, queue)
		return strings.Count(out, "\n")
	}
	if _, log, code := says(t, lines, "import", data, "cars"); code != 0 {
		t.Fatalf("got exit code %d, want 0: %s", code, log)
	}
	cars, aside := filepath.Join(data, "cars"), filepath.Join(data, asideName)
	if err := os.Rename(cars, aside); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	do("boats: 0 items, 0 bytes of payload\ncars: 1 item, 1 byte of payload\ncars+audit: 2 items, 2 bytes of payload\n", "", 0)
	audit := filepath.Join(data, "cars%2Baudit")
	if err := os.RemoveAll(audit); err != nil { // as if the import had not got that far
		t.Fatal(err)
	}
	do("boats: 0 items, 0 bytes of payload\ncars+audit: 2 items, 2 bytes of payload\n",
		"queue cars: not imported, because "+data+"/cars exists", fsck.ExitTrouble)
	if n, m := items("cars"), items("cars+audit"); n != 1 || m != 2 {
		t.Errorf("got %d and %d items, want 1 and 2", n, m)
	}
	do("boats: 0 items, 0 bytes of payload\ncars: 1 item, 1 byte of payload\ncars+audit: 2 items, 2 bytes of payload\n", "", 0, "--append")
	if n, m := items("cars"), items("cars+audit"); n != 2 || m != 4 {
		t.Errorf("got %d and %d items, want 2 and 4", n, m)
	}
	if _, err := os.Stat(filepath.Join(data, asideName)); err == nil {
		t.Errorf("got %s, want it removed", asideName)
	}
}

// A queue that cannot be imported does not stop the import of others.
func TestKestrelImportGoesOnWithTheOtherQueues(t *testing.T) {
	data, from := t.TempDir(), t.TempDir()
	journal := read(t, "../../testdata/kestrel/many/cars")
	bad := strings.Repeat("x", 251)
	for _, name := range []string{"a", bad, "z", "a queue"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(journal), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, log, code := says(t, "", "import", "--format", "kestrel", data, from)
	if want := "a: 1 item, 1 byte of payload\nz: 1 item, 1 byte of payload\n"; out != want ||
		code != fsck.ExitTrouble ||
		!strings.Contains(log, "queue "+bad+": ") || !strings.Contains(log, "queue a queue: ") {
		t.Errorf("got exit code %d\n%s%s, want %d\n%s", code, out, log, fsck.ExitTrouble, want)
	}
}

func TestWrongUseOfQueueCommands(t *testing.T) {
	data := imported(t)
	for args, want := range map[string]int{
		"dump": fsck.ExitUsage, "dump DATA": fsck.ExitUsage, "dump DATA q more": fsck.ExitUsage,
		"dump DATA q --limit 0":    fsck.ExitUsage,
		"dump DATA q --state lost": fsck.ExitUsage, "dump DATA q --as json": fsck.ExitUsage, "dump DATA q --from yesterday": fsck.ExitUsage,
		"export DATA q --format kestrel": fsck.ExitUsage, "export DATA q --nonsense": fsck.ExitUsage,
		"import DATA": fsck.ExitUsage, "import DATA q file more": fsck.ExitUsage, "import DATA q --format xml": fsck.ExitUsage, "import --format kestrel DATA": fsck.ExitUsage,
		"rewind DATA q": fsck.ExitUsage, "rewind DATA q --to 1 --undo": fsck.ExitUsage,
		"rewind DATA q --to never": fsck.ExitUsage, "dump DATA nosuch": fsck.ExitTrouble,
		"export /nowhere q": fsck.ExitTrouble, "import DATA/q q": fsck.ExitTrouble,
		"import DATA a/b": fsck.ExitTrouble, "import DATA q /nowhere": fsck.ExitTrouble,
	} {
		_, log, code := says(t, "", strings.Fields(strings.ReplaceAll(args, "DATA", data))...)
		if code != want || !strings.HasPrefix(log, "darner-fsck: ") {
			t.Errorf("%s: got exit code %d, want %d: %s", args, code, want, log)
		}
	}
}
