package blank_test

import (
	"testing"

	"github.com/darner/darner/segment/blank"
)

func TestOneByteThatIsNotZeroIsFoundWhereverItIs(t *testing.T) {
	for n := range 300 {
		for at := range n {
			b := make([]byte, n)
			b[at] = 1
			if got, want := blank.Skip(b, 0), min(at&^7, n&^7); got != want {
				t.Fatalf("byte %d of %d: got the word at %d, want %d", at, n, got, want)
			}
			if got := len(blank.Trim(b)); blank.Bytes(b) || got != at+1 {
				t.Fatalf("byte %d of %d: got %d bytes before the zeros at the end, want %d", at, n, got, at+1)
			}
		}
	}
}

func TestZerosAreBlank(t *testing.T) {
	for n := range 300 {
		b := make([]byte, n)
		if got := blank.Skip(b, 0); got != n&^7 || len(blank.Trim(b)) != 0 || !blank.Bytes(b) {
			t.Fatalf("%d zeros: got a byte that is not, or a word at %d", n, got)
		}
	}
}
