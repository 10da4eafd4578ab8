package disk

import (
	"os"
	"strings"
	"testing"
)

func TestAllocateWithoutFallocateTellsAFullDisk(t *testing.T) {
	f := openPlain(t, "/dev/full", os.O_RDWR)
	if err := f.Allocate(0, 4096); !IsFull(err) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("the error is %v, want a full disk and the path", err)
	}
}
