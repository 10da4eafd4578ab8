package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const fixtures = "../../testdata/fsck/"

// dataOf copies a fixture to where it may be changed.
func dataOf(t *testing.T, fixture string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixtures+fixture)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExitCodesAreThoseOfFsck(t *testing.T) {
	damaged := dataOf(t, "flipped-bit")
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
		{4, []string{"--repair", dataOf(t, "newer-format")}},
		{8, []string{damaged + "/none"}},
		{8, []string{t.TempDir()}},
		{16, nil},
		{16, []string{"--dry-run", damaged}},
		{16, []string{damaged, "more"}},
		{16, []string{"--mend", damaged}},
		{0, []string{"space", damaged}},
		{16, []string{"space"}},
	} {
		if out, _, code := says(t, "", c.args...); code != c.want {
			t.Errorf("%q ends with %d instead of %d:\n%s", c.args, code, c.want, out)
		}
	}
}

func TestJSONIsALineForEverythingThatIsFound(t *testing.T) {
	out, _, code := says(t, "", "--json", "--repair", dataOf(t, "flipped-bits"))
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	n := make(map[string]int)
	for line := range strings.Lines(out) {
		var v map[string]map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil || len(v) != 1 {
			t.Fatalf("%v: %s", err, line)
		}
		for kind := range v {
			n[kind]++
		}
	}
	if n["finding"] != 3 || n["repair"] != 4 || n["queue"] != 1 || n["result"] != 1 {
		t.Errorf("there are %v in\n%s", n, out)
	}
}

func TestSpaceDrawsABarForEverySegment(t *testing.T) {
	out, _, _ := says(t, "", "space", dataOf(t, "flipped-bit"))
	if bars := strings.Count(out, ".seg"); bars != 3 || !strings.Contains(out, "####") || !strings.Contains(out, "xx") || !strings.Contains(out, "----") {
		t.Errorf("it draws\n%s", out)
	}
}
