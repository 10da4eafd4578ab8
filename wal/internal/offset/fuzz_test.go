package offset_test

import (
	"errors"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal/internal/offset"
)

// Whatever is in a file, who opens it and who judges it come to the same, and once it is mended
// nothing is left to be mended.
func FuzzOffsetFile(f *testing.F) {
	fsys, _ := sample(f)
	whole := content(f, fsys)
	f.Add(whole)
	f.Add(whole[:1100])
	f.Add(make([]byte, 2048))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := disktest.New()
		if err := errors.Join(fsys.Mkdir("q"), fsys.WriteFile(path, b)); err != nil {
			t.Fatal(err)
		}
		v, err := offset.Judge(fsys, path, int64(len(b)))
		o, st, openErr := offset.Open(fsys, path, capacity)
		if openErr != nil {
			return
		}
		if err != nil {
			t.Fatalf("opened, but judged as %v", err)
		}
		if got, want := all(&st, o.Log), all(&v.State, v.Log); got != want {
			t.Fatalf("opened as %q, judged as %q", got, want)
		}
		o.Mend(&st)
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		o, again, err := offset.Open(fsys, path, capacity)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		if o.Lost() != 0 || o.Flipped() != 0 || all(&again, o.Log) != all(&st, o.Log) {
			t.Fatalf("got %d lost, %d flipped and %q when mended, want %q",
				o.Lost(), o.Flipped(), all(&again, o.Log), all(&st, o.Log))
		}
	})
}
