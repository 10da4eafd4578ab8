package memcache

import (
	"strings"
	"testing"

	"github.com/darner/darner/server/queue"
)

func TestAHeadThatIsDamagedIsNotToldOf(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.set("q", "first item", "second item")
	sv.damage("first item")
	if got := c.ask("info q\r\n"); !strings.HasPrefix(got, "STAT sequence 2\r\nSTAT size 11\r\n") {
		t.Errorf("got %q, want the second item, which is what a get gets", got)
	}
	c.expect("get q\r\n", value("q", "second item"))
}

func TestAQueueIsLoadedToTellOfItsHead(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", "hello")
	sv.restart()
	got := sv.dial().ask("info q\r\n")
	if !strings.HasPrefix(got, "STAT sequence 1\r\nSTAT size 5\r\n") {
		t.Errorf("got %q, want the item", got)
	}
}

// The words of an origin are told apart by blanks, so a name may look like anything else.
func TestAnOriginIsWords(t *testing.T) {
	for want, of := range map[string]*queue.Origin{
		"-": nil, "?": {}, "- expired 3 0": {Log: "-", Why: 1, Seq: 3},
		"? undeliverable 18446744073709551615 4294967295": {
			Log: "?", Why: 2, Seq: 1<<64 - 1, Deliveries: 1<<32 - 1,
		},
		"a unknown 1 0": {Log: "a", Why: 99, Seq: 1},
	} {
		if got := origin(of); got != want {
			t.Errorf("%+v: got %q, want %q", of, got, want)
		}
	}
}
