package torture

// The real binary, built once.

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	_ "github.com/darner/darner/server" // a change of it is a reason to test again
	"github.com/darner/darner/tools/spawn"
)

// long multiplies what the small form does.
var long = flag.Int("long", 1, "times as many power cuts and faults as by default")

// program is the path of the program under test.
var program string

// limit is how long anything may take before it counts as stuck.
const limit = 60 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	if code, done := isolated(); done {
		os.Exit(code)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "darner-torture-*")
	if err == nil {
		defer os.RemoveAll(dir)
		program, err = spawn.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
