package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/config"
)

func TestASmallDiskTakesItemsAgainAsOthersAreTaken(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); errors.Is(err, os.ErrPermission) {
		t.Skip("mounting needs root")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := launch(t, func(c *config.Config) { c.Data = dir + "/data" })
	c := dial(t, "tcp", s.Addr().String())
	item := strings.Repeat("x", 10000)
	set := fmt.Sprintf("set q 0 0 %d\r\n%s\r\n", len(item), item)
	stored := func() bool {
		say(t, c, set, "")
		var line strings.Builder
		for b := make([]byte, 1); b[0] != '\n'; line.Write(b) {
			if _, err := io.ReadFull(c, b); err != nil {
				t.Fatal(err)
			}
		}
		return line.String() == "STORED\r\n"
	}
	n := 0
	for stored() {
		n++
	}
	if n < 500 {
		t.Errorf("got %d items stored, want 500 or more", n)
	}
	for range n / 2 {
		say(t, c, "get q\r\n", fmt.Sprintf("VALUE q 0 %d\r\n%s\r\nEND\r\n", len(item), item))
	}
	for !stored() { // space comes back in the background
	}
}
