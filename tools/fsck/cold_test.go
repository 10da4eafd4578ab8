package fsck_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/tools/fsck"
)

// What a repair leaves out of a cold segment is in the quarantine: the blocks or, if it is not
// known where they are, the file.
func TestWhatIsLostOfAColdSegmentIsSetAside(t *testing.T) {
	base := strings.TrimPrefix(cold, orders+"/")
	for name, want := range map[string][]string{
		"cold-flipped-bit":         nil,
		"cold-beyond-parity":       {base + "@8192-8301"},
		"cold-half":                {base + "@8192-8292"},
		"cold-directory-lost":      {base + "@0-25040"},
		"cold-header-lost":         {base + "@1"},
		"cold-superseded":          nil,
		"cold-superseded-and-lost": {"00000000000000000011.seg@1", base + "@8192-8301"},
	} {
		fsys := load(t, name)
		before, err := fsys.ReadFile(cold)
		must(t, err)
		repair(t, fsys)
		kept := quarantined(t, fsys, "orders")
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(kept)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q in the quarantine, want %q", name, got, want)
		}
		if lost, ok := kept[base+"@8192-8301"]; ok && lost != string(before[8192:8301]) {
			t.Errorf("%s: got other bytes in the quarantine than those lost", name)
		}
	}
}

// What can be rebuilt is rebuilt to the last bit.
func TestARebuiltColdSegmentIsAsItWasWritten(t *testing.T) {
	fsys := load(t, "cold")
	whole, err := fsys.ReadFile(cold)
	must(t, err)
	for at := 0; at < len(whole); at += 1 + at%7*31 {
		must(t, fsys.Corrupt(cold, int64(at), 16))
		_, res := run(t, fsys, fsck.Options{Repair: true})
		if b, err := fsys.ReadFile(cold); err != nil || string(b) != string(whole) ||
			res.Lost > 0 || res.Items != 23 || res.Exit() != fsck.ExitRepaired {
			t.Fatalf("byte %d: got %+v, %v; want the file as it was", at, res, err)
		}
	}
}

func TestTheServersOwnFilesAreNoFinding(t *testing.T) {
	fsys := load(t, "clean")
	must(t, fsys.WriteFile(data+"/.scrubbed", []byte("2026-01-31T12:00:00Z\n")))
	must(t, fsys.WriteFile(data+"/.reserve", make([]byte, 4096)))
	if report, res := run(t, fsys, fsck.Options{}); res.Notes+res.Damage > 0 {
		t.Errorf("got a report, want none:\n%s", report)
	}
}
