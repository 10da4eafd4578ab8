package torture

// Bits flip in a large queue while no server runs. Each costs at most one item.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAHundredFlippedBitsCostAtMostAHundredItems(t *testing.T) {
	items, flips := 200_000, 100
	if testing.Short() {
		items = 20_000
	}
	data := t.TempDir()
	d := launch(t, data, "--segment-size", "1MiB", "--sync", "never")
	setMany(t, d.dial(), items)
	d.stop()
	flipBits(t, filepath.Join(data, "q"), flips)

	d = launch(t, data, "--segment-size", "1MiB")
	c := d.dial()
	came := getMany(t, c, items)
	figures := c.figures(t, "q")
	t.Logf("%d bits flipped: %d of %d items delivered, %d lost, %s counted as damaged", flips, came,
		items, items-came, figures["damaged_records"])
	if lost := items - came; lost > flips || lost < flips/4 ||
		figures["damaged_records"] != fmt.Sprint(lost) {
		t.Errorf("got %d items lost and %s counted, want at most the %d bits, and all counted",
			lost, figures["damaged_records"], flips)
	}
	until(t, "damaged ranges set aside", func() bool {
		aside, _ := filepath.Glob(filepath.Join(data, ".quarantine", "q", "*"))
		return len(aside) >= (items-came)*3/4 // adjacent ones are one range
	})
	if log := d.Log.String(); !strings.Contains(log, "damage") {
		t.Errorf("got no damage in the log, want some:\n%s", log)
	}
	d.lives()
}

func text(n int) string { return fmt.Sprintf("item %08d %032x", n, uint64(n)*0x9e3779b97f4a7c15) }

// setMany sets that many items in one stream.
func setMany(t *testing.T, c *client, items int) {
	t.Helper()
	go func() {
		w := bufio.NewWriterSize(c, 1<<16)
		for n := range items {
			fmt.Fprintf(w, "set q 0 0 %d\r\n%s\r\n", len(text(n)), text(n))
		}
		w.Flush()
	}()
	for range items {
		if answer, err := c.line(); err != nil || answer != "STORED" {
			t.Fatalf("got %q, %v; want STORED", answer, err)
		}
	}
}

// getMany takes all items in one stream, and returns their number. They must be whole and in order.
func getMany(t *testing.T, c *client, items int) (came int) {
	t.Helper()
	go io.WriteString(c, strings.Repeat("get q\r\n", items))
	last := -1
	for range items {
		answer, err := c.line()
		if err != nil {
			t.Fatal(err)
		}
		if answer == "END" {
			continue
		}
		got, err := c.line()
		var n int
		fmt.Sscanf(got, "item %d", &n)
		if err != nil || got != text(n) || n <= last {
			t.Fatalf("got %q %q, %v; want an item after number %d", answer, got, err, last)
		}
		last = n
		came++
		if end, err := c.line(); end != "END" || err != nil {
			t.Fatalf("got %q, %v; want END", end, err)
		}
	}
	return came
}

// flipBits flips random bits in the records of a directory's segments.
func flipBits(t *testing.T, dir string, flips int) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	for range flips {
		name := files[rand.IntN(len(files))]
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := 1024 + rand.IntN(bytes.LastIndex(b, []byte("item "))-1024)
		b[at] ^= 1 << rand.IntN(8)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
