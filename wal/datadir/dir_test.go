package datadir

import (
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestWhatTheServerKeepsIsToldFromQueuesAndFromWhatOthersLeft(t *testing.T) {
	m := disktest.New()
	for _, name := range []string{
		LockName, ReserveName, ScrubbedName, ScrubbedName + NewSuffix, ClockName,
		ClockName + NewSuffix, StatusName, StatusName + NewSuffix, "notes.txt",
	} {
		if err := m.WriteFile("data/"+name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{TrashName, QuarantineName, "orders", "%2Ehidden", ".other"} {
		if err := m.Mkdir("data/" + name); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(m, "data", ofLog)
	if err != nil {
		t.Fatal(err)
	}
	var queues []string
	for _, q := range d.Queues {
		queues = append(queues, q.Name)
	}
	if want := []string{".hidden", "orders"}; !slices.Equal(queues, want) {
		t.Errorf("got the queues %q, want %q", queues, want)
	}
	if want := []string{".other", "notes.txt"}; !slices.Equal(slices.Sorted(slices.Values(d.Others)), want) {
		t.Errorf("got %q as others' files, want %q", d.Others, want)
	}
}

// ofLog stands in for the log's own grammar.
func ofLog(name string) bool { return strings.HasSuffix(name, ".seg") }
