// Command lines prints telemetry to measure with: lines of JSON, the same ones for the same seed.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"github.com/darner/darner/tools/telemetry"
)

func main() {
	n := flag.Int("n", 100_000, "lines")
	devices := flag.Int("devices", 8, "devices that report in turn")
	seed := flag.Uint64("seed", 1, "other seeds give other lines")
	flag.Parse()
	if err := print(*n, *devices, *seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func print(n, devices int, seed uint64) error {
	out := bufio.NewWriter(os.Stdout)
	for line := range telemetry.Lines(seed, devices) {
		if n--; n < 0 {
			break
		}
		if _, err := fmt.Fprintf(out, "%s\n", line); err != nil {
			return err
		}
	}
	return out.Flush()
}
