package kestrel

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

// one replays a journal of a single file.
func one(t *testing.T, f file) ([]string, []Finding) {
	t.Helper()
	fsys := disktest.New()
	fsys.WriteFile("k/q", f)
	return held(t, fsys)
}

// A flipped bit in an item's size costs this item, not those after it.
func TestDamagedSizeIsNoTornTail(t *testing.T) {
	for name, add := range map[string]func(file, string) file{
		"ADDX": func(f file, s string) file { return f.addX(s, when, 0).openID(1).confirm(1) },
		"ADD":  func(f file, s string) file { return f.add(s, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			var f file
			var want []string
			var from, to int
			for i := range 1000 {
				item := fmt.Sprint("item ", i)
				if i == 5 {
					from = len(f)
				} else if name == "ADD" || i > 5 {
					want = append(want, item)
				}
				f = add(f, item)
				if i == 5 {
					to = len(f)
				}
			}
			binary.LittleEndian.PutUint32(f[from+1:], binary.LittleEndian.Uint32(f[from+1:])|1<<30)
			got, findings := one(t, f)
			if !slices.Equal(got, want) {
				t.Errorf("got %d items, want %d", len(got), len(want))
			}
			if len(findings) != 1 || findings[0].Torn || findings[0].At != int64(from) ||
				findings[0].Lost != int64(to-from) {
				t.Errorf("got findings %v, want bytes %d to %d", findings, from, to-1)
			}
		})
	}
}

// An operation that a crash cut short is a torn tail, whatever its size and payload.
func TestCutOperationIsATornTail(t *testing.T) {
	for name, payload := range map[string]string{
		"text":        strings.Repeat("some text. ", 1<<17),
		"zeros":       strings.Repeat("\x00", 1<<18),
		"opcodes":     strings.Repeat("\x01\x03", 1<<17),
		"small words": strings.Repeat("\x00\x00\x00\x04\x00\x00\x00\x09", 1<<12),
	} {
		t.Run(name, func(t *testing.T) {
			f := file{}.addX("whole", when, 0)
			at := len(f)
			f = f.addX(payload, when, 0)
			f = f[:len(f)-1]
			got, findings := one(t, f)
			if !slices.Equal(got, []string{"whole"}) {
				t.Errorf("got %d items, want 1", len(got))
			}
			if len(findings) != 1 || !findings[0].Torn || findings[0].Lost != int64(len(f)-at) {
				t.Errorf("got findings %+v, want one that is torn and has lost %d bytes",
					findings, len(f)-at)
			}
		})
	}
}

// The next item is found wherever it begins.
func TestResyncMissesNoPlace(t *testing.T) {
	for size := bufferSize - 2*headSize; size < bufferSize+2*headSize; size++ {
		f := file{}.addX(strings.Repeat("x", size), when, 0)
		f[4] = 0x7f
		at := len(f)
		got, findings := one(t, f.addX("next", when, 0))
		if !slices.Equal(got, []string{"next"}) || len(findings) != 1 ||
			findings[0].Lost != int64(at) {
			t.Fatalf("after %d bytes: got %d items, %v; want 1 and a finding of %d bytes", size,
				len(got), findings, at)
		}
	}
}
