package transport

// The policy by itself: what it says in the states that matter, and what holds in all there are.

import (
	"testing"

	"github.com/darner/darner/server/memcache"
)

const (
	testNow  = 1000
	soon     = testNow + 5    // before a pause is over
	later    = testNow + 5000 // after
	pauseEnd = testNow + 10   // drainPause
)

func TestWhatIsDoneNext(t *testing.T) {
	const ready, waiting, working, closing = memcache.Ready, memcache.Waiting, memcache.Working, memcache.Closing
	for _, x := range []struct {
		what string
		view view
		want action
	}{
		{"input is there", view{state: ready}, action{step: stepProcess}},
		{"input is lacking", view{state: ready, lacks: true}, action{step: stepRead}},
		{"the client sends no more of a request", view{state: ready, lacks: true, ends: ends{halfEnd: true}}, action{step: stepDrop}},
		{"the client is gone, and its last requests are not read", view{state: ready, lacks: true, ends: ends{hungUp: true}}, action{step: stepRead}},
		{"a job is to be done", view{state: working}, action{step: stepWork}},
		{"a job is done", view{state: working, ends: ends{fresh: true}}, action{step: stepProcess}},

		{"a get waits", view{state: waiting, room: true, deadline: later}, action{stepRead, later}},
		{"a get waits, and no more can be read", view{state: waiting, deadline: later}, action{stepWatch, later}},
		{"a get may have what it waits for", view{state: waiting, room: true, deadline: later, ends: ends{fresh: true}}, action{step: stepProcess}},
		{"a get may have what it waits for, but its client sends no more", view{state: waiting, deadline: later, ends: ends{fresh: true, halfEnd: true}}, action{step: stepDrop}},
		{"a get waits whose client is gone, and no more can be read", view{state: waiting, deadline: later, ends: ends{hungUp: true}}, action{step: stepDrop}},
		{"a get waits whose client is gone, and something of it may be left", view{state: waiting, room: true, deadline: later, ends: ends{hungUp: true}}, action{stepRead, later}},
		{"a set waits", view{state: waiting, room: true}, action{step: stepRead}},
		{"a set waits, and no more can be read", view{state: waiting}, action{step: stepWait}},
		{"a set waits whose client sends no more", view{state: waiting, room: true, ends: ends{halfEnd: true}}, action{step: stepWait}},

		{"the client does not read", view{unsent: true}, action{step: stepSend}},
		{"the client is gone before it has read all", view{unsent: true, ends: ends{hungUp: true}}, action{step: stepDrop}},
		{"the client's system has not answered", view{unsure: true, owes: true, pause: 7}, action{stepLook, testNow + 7}},
		{"the client's system has answered", view{unsure: true}, action{step: stepConfirm}},
		{"the client's system never answered", view{unsure: true, owes: true, ends: ends{hungUp: true}}, action{step: stepDrop}},

		{"the session is at its end", view{state: closing}, action{step: stepFinish}},
		{"the session is at its end, its answers are not out", view{state: closing, unsent: true}, action{step: stepSend}},
		{"the session is at its end, the client gone", view{state: closing, ends: ends{hungUp: true}}, action{step: stepDrop}},
		{"the ended client still sends", view{ends: ends{lingers: later}}, action{stepRead, later}},
		{"the ended client sends no more", view{ends: ends{lingers: later, halfEnd: true}}, action{step: stepDrop}},
		{"the ended client has sent for long enough", view{ends: ends{lingers: testNow}}, action{step: stepDrop}},

		{"the server stops: requests may be on their way", view{stopping: later, lacks: true}, action{stepRead, pauseEnd}},
		{"the server stops, and soon all have to have come", view{stopping: soon, lacks: true}, action{stepRead, soon}},
		{"the server stops, and none came", view{stopping: later, lacks: true, ends: ends{late: true}}, action{step: stepFinish}},
		{"the server stops, and they had their time", view{stopping: testNow, lacks: true}, action{step: stepFinish}},
		{"the server stops, and one that came in time is there", view{stopping: testNow}, action{step: stepProcess}},
		{"the server stops: the ended client may still send", view{stopping: later, ends: ends{lingers: later}}, action{stepRead, pauseEnd}},
		{"the server stops, the ended client is silent", view{stopping: later, ends: ends{lingers: later, late: true}}, action{step: stepDrop}},
		{"the server stops, the ended client is silent and has not got all", view{stopping: later, undelivered: true, ends: ends{lingers: later, late: true}}, action{stepRead, pauseEnd}},
		{"the connection is cut off", view{unsent: true, ends: ends{lost: true, lingers: later}}, action{step: stepDrop}},
	} {
		x.view.now = testNow
		if got := next(&x.view); got != x.want {
			t.Errorf("%s: got %v, want %v", x.what, got, x.want)
		}
	}
}

// everyView calls do with each view there is, as far as the policy can tell them apart.
func everyView(do func(view)) {
	times := []int64{0, testNow - 5, soon, later}
	for bits := range 1 << 12 {
		bit := func(n int) bool { return bits>>n&1 != 0 }
		v := view{
			now: testNow, pause: 1, lacks: bit(0), room: bit(1), unsent: bit(2), unsure: bit(3), owes: bit(4), undelivered: bit(5),
			ends: ends{fresh: bit(6), late: bit(7), halfEnd: bit(8), hungUp: bit(9), lost: bit(10)},
		}
		if bit(11) {
			v.deadline = later
		}
		for v.state = memcache.Ready; v.state <= memcache.Closing; v.state++ {
			for _, v.stopping = range times {
				for _, v.lingers = range times {
					do(v)
				}
			}
		}
	}
}

// what holds of an action in any view; each tells what is wrong if it is false.
var invariants = map[string]func(v view, a action) bool{
	"a lost connection is closed": func(v view, a action) bool {
		return !v.lost || a.step == stepDrop
	},
	"a session that was closed has nothing to do": func(v view, a action) bool {
		return v.lingers == 0 || a.step == stepRead || a.step == stepDrop
	},
	"no answer is made before the last ones are out and confirmed": func(v view, a action) bool {
		return !v.unsent && !v.unsure || a.step != stepProcess && a.step != stepWork && a.step != stepFinish
	},
	"only what the client's system has is confirmed": func(v view, a action) bool {
		return a.step != stepConfirm || v.unsure && !v.owes && !v.unsent
	},
	"input is read where there is room for it, or it is lacking, or thrown away": func(v view, a action) bool {
		return a.step != stepRead || v.lingers != 0 || v.state == memcache.Waiting && v.room || v.state == memcache.Ready && v.lacks
	},
	"a session works only on what is new": func(v view, a action) bool {
		return a.step != stepProcess || v.fresh && v.state != memcache.Closing || v.state == memcache.Ready && !v.lacks
	},
	"a job is begun once": func(v view, a action) bool {
		return a.step != stepWork || v.state == memcache.Working && !v.fresh
	},
	"a get whose client sends no more takes no item": func(v view, a action) bool {
		return v.state != memcache.Waiting || v.deadline == 0 || !v.halfEnd || a.step != stepProcess && a.step != stepRead && a.step != stepWatch
	},
	"a get waits until its time": func(v view, a action) bool {
		return v.state != memcache.Waiting || v.lingers != 0 || a.step != stepRead && a.step != stepWatch || a.until == v.deadline
	},
	"time ends no connection whose session waits": func(v view, a action) bool {
		calm := v
		calm.late, calm.stopping = false, 0
		return v.state != memcache.Waiting || v.lingers != 0 || a == next(&calm)
	},
	"a server that stops waits for requests no longer than it may": func(v view, a action) bool {
		return v.stopping == 0 || v.lingers != 0 || v.state != memcache.Ready || a.step != stepRead || a.until > v.now && a.until <= v.stopping
	},
	"an ended client is listened to no longer than it may": func(v view, a action) bool {
		return v.lingers == 0 || a.step != stepRead || a.until > v.now && a.until <= v.lingers
	},
	"a client that is gone is not waited for": func(v view, a action) bool {
		return !v.hungUp || a.step != stepSend && a.step != stepLook && a.step != stepWatch && a.step != stepFinish
	},
	"a client that sends no more is not read from": func(v view, a action) bool {
		return !v.halfEnd || a.step != stepRead && a.step != stepWatch
	},
}

func TestWhatHoldsWhateverIsKnownOfAConnection(t *testing.T) {
	broken := make(map[string]bool)
	everyView(func(v view) {
		a := next(&v)
		for what, holds := range invariants {
			if !holds(v, a) && !broken[what] {
				broken[what] = true
				t.Errorf("not so: %s: %+v leads to %+v", what, v, a)
			}
		}
	})
}
