package fsck_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
)

// each runs a test on every fixture.
func each(t *testing.T, test func(t *testing.T, name string, fsys *disktest.FS)) {
	for _, name := range slices.Sorted(maps.Keys(fixtures)) {
		t.Run(name, func(t *testing.T) {
			fixture(t, name)
			test(t, name, load(t, name))
		})
	}
}

// Each fixture has the expected output of a check, a repair and another check.
func TestEveryKindOfDamageIsReportedAndRepaired(t *testing.T) {
	each(t, func(t *testing.T, name string, fsys *disktest.FS) {
		var b strings.Builder
		for _, step := range []struct {
			command string
			o       fsck.Options
		}{
			{"darner-fsck data", fsck.Options{}},
			{"darner-fsck --repair data", fsck.Options{Repair: true}},
			{"darner-fsck data", fsck.Options{}},
		} {
			report, res := run(t, fsys, step.o)
			fmt.Fprintf(&b, "$ %s\n%s[exit code %d]\n\n", step.command, report, res.Exit())
		}
		path := filepath.Join(testdata, name+".report")
		if *update {
			must(t, os.WriteFile(path, []byte(b.String()), 0o644))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if b.String() != string(want) {
			t.Errorf("got\n%s\nwant\n%s", b.String(), want)
		}
	})
}
