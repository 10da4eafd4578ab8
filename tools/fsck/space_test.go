package fsck_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
)

func space(t *testing.T, fsys *disktest.FS, cut func(string, int) string) string {
	t.Helper()
	var b bytes.Buffer
	o := fsck.Options{FS: fsys}
	fsck.Space(&b, &o, cut)
	_, err := fsck.Run(data, o)
	must(t, err)
	return b.String()
}

func cutEnd(text string, width int) string { return fmt.Sprintf("%.*s", width, text) }

func TestWhatTakesTheDiskFitsInto80Columns(t *testing.T) {
	each(t, func(t *testing.T, _ string, fsys *disktest.FS) {
		long := strings.Repeat("long", 40)
		names := fsys.Names(data) // the lock, then queues
		must(t, fsys.Rename(data+"/"+names[len(names)-1], data+"/"+long))
		for line := range strings.Lines(space(t, fsys, cutEnd)) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 80 {
				t.Errorf("got %d columns: %s", n, line)
			}
		}
		if !strings.Contains(space(t, fsys, nil), long) {
			t.Error("a name is cut where nothing has to fit")
		}
	})
}
