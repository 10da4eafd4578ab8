package torture

// Builds the real binary, once.

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	_ "github.com/darner/darner/server" // go test runs the tests again when it changes
	"github.com/darner/darner/tools/spawn"
)

// long multiplies what the short form does.
var long = flag.Int("long", 1, "multiple of the default number of power cuts and faults")

// program is the path of the server's binary.
var program string

// limit is how long anything may take before it counts as hung.
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
