package segment

import (
	"errors"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

// In each of its forms a segment says which log it belongs to, also if its header is lost. It is
// not opened for another log.
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
				must(t, fsys.Corrupt(testPath, 20, 3))
				must(t, fsys.Corrupt(testPath, headerCopy+20, 3))
			}
			if id, err := Identity(fsys, testPath); id != testHeader.Log || err != nil {
				t.Errorf("%s, headless %v: got log %x, %v, want the one it was written with", form, headless, id, err)
			}
			for _, write := range []bool{false, true} {
				o := OpenOptions{Log: testHeader.Log + 1, Write: write}
				if _, _, err := Open(fsys, testPath, o); !errors.Is(err, ErrForeign) {
					t.Errorf("%s, headless %v, opened for another log: got %v, want ErrForeign", form, headless, err)
				}
			}
			s, _, err := Open(fsys, testPath, OpenOptions{Log: testHeader.Log})
			must(t, err)
			must(t, s.Close())
		}
	}
}
