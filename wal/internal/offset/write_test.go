package offset_test

import (
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// A file has room for its whole state, even if that ends exactly at the end of a block.
func TestAFileThatIsWrittenSaysAllThatItShould(t *testing.T) {
	for ranges := uint64(90); ranges < 100; ranges++ {
		fsys := disktest.New()
		if err := fsys.Mkdir("q"); err != nil {
			t.Fatal(err)
		}
		st := offset.New(5, 50, 77)
		for i := range ranges {
			st.Take(10+2*i, 10+2*i, 1)
		}
		if err := offset.Replace(fsys, "q", "", &st, 9); err != nil {
			t.Fatal(err)
		}
		list, err := files.List(fsys, "q")
		if err != nil {
			t.Fatal(err)
		}
		v, err := offset.Judge(fsys, "q/consumer.off", list.Of[files.Offset][0].Size)
		if err != nil || v.Salvaged || len(v.Damage) > 0 {
			t.Fatalf("%d ranges: got %+v, %v, want no damage", ranges, v, err)
		}
		if v.Log != 9 || v.Head != 5 || v.Taken.Count != ranges || v.End() != st.End() {
			t.Errorf("%d ranges: got %d taken of log %d from %d to %d, want up to %d", ranges, v.Taken.Count, v.Log, v.Head, v.End(), st.End())
		}
	}
}
