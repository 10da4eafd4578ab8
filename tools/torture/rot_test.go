package torture

// Bits flip in a large queue while no server runs. They cost nothing.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestAHundredFlippedBitsCostNothing(t *testing.T) {
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
	t.Logf("%d bits flipped: %d of %d items delivered, %s counted as damaged, %s as mended", flips,
		came, items, figures["damaged_records"], figures["mended_records"])
	if came != items || figures["damaged_records"] != "0" {
		t.Errorf("got %d of %d items and %s damaged, want all and none", came, items,
			figures["damaged_records"])
	}
	until(t, "the flipped bits to be mended", func() bool {
		mended, _ := strconv.Atoi(c.figures(t, "q")["mended_records"])
		return mended >= flips/2 // some are where nothing is, or in files that are gone by then
	})
	if aside, _ := filepath.Glob(filepath.Join(data, ".quarantine", "q", "*")); len(aside) > 0 {
		t.Errorf("got %q set aside, want nothing", aside)
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
	type block struct {
		name string
		at   int
	}
	hit := make(map[block]bool) // two in one record are beyond mending
	for len(hit) < flips {
		name := files[rand.IntN(len(files))]
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := 1024 + rand.IntN(bytes.LastIndex(b, []byte("item "))-1024)
		const apart = 256 // more than a record is long
		if at%apart < apart/2 || hit[block{name, at / apart}] {
			continue
		}
		hit[block{name, at / apart}] = true
		b[at] ^= 1 << rand.IntN(8)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
