package segment

import (
	"errors"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

// A segment says whose it is in each of its forms, also when its header is lost, and is not opened for another.
func TestASegmentOfAnotherLogIsNotOpened(t *testing.T) {
	active, sealed, _ := golden(t)
	source, _, err := Open(diskWith(t, sealed), testPath, OpenOptions{})
	must(t, err)
	cold := disktest.New()
	must(t, cold.Mkdir("q"))
	must(t, WriteCold(cold, testPath, []*Segment{source}, ColdOptions{Parity: 1}, all, nil))
	inCold, err := cold.ReadFile(testPath)
	must(t, err)
	for form, b := range map[string][]byte{"active": active, "sealed": sealed, "cold": inCold} {
		for _, headless := range []bool{false, true} {
			if headless && form == "active" {
				continue
			}
			fsys := diskWith(t, b)
			if headless {
				must(t, fsys.Corrupt(testPath, 20, 1))
				must(t, fsys.Corrupt(testPath, headerCopy+20, 1))
			}
			if id, err := Identity(fsys, testPath); id != testHeader.Log || err != nil {
				t.Errorf("%s, headless %v: it is of log %x (%v)", form, headless, id, err)
			}
			for _, write := range []bool{false, true} {
				if _, _, err := Open(fsys, testPath, OpenOptions{Log: testHeader.Log + 1, Write: write}); !errors.Is(err, ErrForeign) {
					t.Errorf("%s, headless %v, opened for another log: %v", form, headless, err)
				}
			}
			s, _, err := Open(fsys, testPath, OpenOptions{Log: testHeader.Log})
			must(t, err)
			must(t, s.Close())
		}
	}
}
