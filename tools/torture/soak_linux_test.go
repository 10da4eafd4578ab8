package torture

// Random load for any time, with random kills and restarts. The server keeps its promises, and its
// use of memory, descriptors and disk does not grow.

import (
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var soak = flag.Duration("soak", time.Second, "how long the soak runs")

// vitals holds figures that must not grow while a server runs.
type vitals struct{ memory, descriptors int64 }

func (d *daemon) vitals(t *testing.T) (v vitals) {
	t.Helper()
	open, err := os.ReadDir(d.Proc("fd"))
	if err != nil {
		t.Fatal(err)
	}
	v.memory = d.Memory()
	v.descriptors = int64(len(open))
	return v
}

func TestSoak(t *testing.T) {
	data := t.TempDir()
	rounds, kills, acks := 0, 0, int64(0)
	var worst vitals
	for end := time.Now().Add(*soak); time.Now().Before(end); rounds++ {
		life := min(time.Until(end), *soak/10+time.Duration(rand.Int64N(int64(*soak/4)+1)))
		l := newLedger()
		l.generation, l.forgets = rounds*1_000_000, true
		d := launch(t, data, small...)
		w := l.put(d, "a", "b", "c", fmt.Sprintf("short-lived-%d", rounds%5))
		seen := watch(t, d, life)
		acks += l.acks.Load()
		if rand.IntN(3) > 0 {
			kills++
			d.Kill()
		} else {
			d.stop()
		}
		if err := w.end(); err != nil {
			t.Fatalf("round %d: %v", rounds, err)
		}
		flat(t, seen)
		for _, v := range seen {
			worst = vitals{max(worst.memory, v.memory), max(worst.descriptors, v.descriptors)}
		}
		checkRound(t, data, l, rounds)
	}
	t.Logf("%d answers in %d lives, %d of them ended by kill -9", acks, rounds, kills)
	t.Logf("at most %d KiB of memory, %d descriptors", worst.memory>>10, worst.descriptors)
}

// watch samples the vitals of a running server, some dozens of times.
func watch(t *testing.T, d *daemon, life time.Duration) (seen []vitals) {
	t.Helper()
	tick := time.NewTicker(max(life/50, 10*time.Millisecond))
	defer tick.Stop()
	for end := time.Now().Add(life); time.Now().Before(end); <-tick.C {
		d.lives()
		seen = append(seen, d.vitals(t))
	}
	return seen
}

// flat compares the second quarter of the samples with the last.
func flat(t *testing.T, seen []vitals) {
	t.Helper()
	n := len(seen) / 4
	if n < 5 {
		return // too few samples
	}
	middle := func(of []vitals, what func(vitals) int64) int64 {
		var all []int64
		for _, v := range of {
			all = append(all, what(v))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	memory := func(v vitals) int64 { return v.memory }
	descriptors := func(v vitals) int64 { return v.descriptors }
	early, late := middle(seen[n:2*n], memory), middle(seen[3*n:], memory)
	if late > early*5/4+8<<20 {
		t.Errorf("got %d KiB of memory at the end, want about the %d of the beginning",
			late>>10, early>>10)
	}
	early, late = middle(seen[n:2*n], descriptors), middle(seen[3*n:], descriptors)
	if late > early+40 {
		t.Errorf("got %d descriptors at the end, want about the %d of the beginning", late, early)
	}
}

// checkRound starts a server, takes all items and judges them. Afterwards the disk must be nearly
// empty.
func checkRound(t *testing.T, data string, l *ledger, round int) {
	t.Helper()
	d := launch(t, data, small...)
	m := l.promised()
	l.gone(m)
	if err := m.judge(d, l, time.Nanosecond); err != nil {
		t.Fatalf("round %d: %v\n%s", round, err, d.Log)
	}
	d.stop()
	if strings.Contains(d.Log.String(), "level=ERROR") {
		t.Errorf("round %d: got errors in the log, want none:\n%s", round, d.Log)
	}
	var bytes int64
	filepath.WalkDir(data, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	if bytes > 4<<20 {
		t.Errorf("round %d: got %d bytes on the disk after all was taken, want at most 4 MiB",
			round, bytes)
	}
}
