package transport

// The policy by itself: what it says in the states that matter, and what holds in all states.

import (
	"slices"
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
	const (
		ready, waiting   = memcache.Ready, memcache.Waiting
		working, closing = memcache.Working, memcache.Closing
	)
	for _, x := range []struct {
		what string
		view view
		want action
	}{
		{"input is there", view{state: ready}, action{step: stepProcess}},
		{"input is lacking", view{state: ready, needsInput: true}, action{step: stepRead}},
		{"the client sends no more of a request",
			view{state: ready, needsInput: true, progress: progress{halfClosed: true}},
			action{step: stepDrop}},
		{"the client is gone, and its last requests are not read",
			view{state: ready, needsInput: true, progress: progress{hungUp: true}},
			action{step: stepRead}},
		{"a job is to be done", view{state: working}, action{step: stepWork}},
		{"a job is done",
			view{state: working, progress: progress{fresh: true}}, action{step: stepProcess}},

		{"a get waits",
			view{state: waiting, hasRoom: true, deadline: later}, action{stepRead, later}},
		{"a get waits, and no more can be read",
			view{state: waiting, deadline: later}, action{stepWatch, later}},
		{"a get may have what it waits for",
			view{state: waiting, hasRoom: true, deadline: later, progress: progress{fresh: true}},
			action{step: stepProcess}},
		{"a get may have what it waits for, but its client sends no more",
			view{state: waiting, deadline: later,
				progress: progress{fresh: true, halfClosed: true}},
			action{step: stepDrop}},
		{"a get waits whose client is gone, and no more can be read",
			view{state: waiting, deadline: later, progress: progress{hungUp: true}},
			action{step: stepDrop}},
		{"a get waits whose client is gone, and something of it may be left",
			view{state: waiting, hasRoom: true, deadline: later, progress: progress{hungUp: true}},
			action{stepRead, later}},
		{"a set waits", view{state: waiting, hasRoom: true}, action{step: stepRead}},
		{"a set waits, and no more can be read", view{state: waiting}, action{step: stepWait}},
		{"a set waits whose client sends no more",
			view{state: waiting, hasRoom: true, progress: progress{halfClosed: true}},
			action{step: stepWait}},

		{"the client does not read", view{unsent: true}, action{step: stepSend}},
		{"the client is gone before it has read all",
			view{unsent: true, progress: progress{hungUp: true}}, action{step: stepDrop}},
		{"the client's system has not answered",
			view{unconfirmed: true, ackMissing: true, ackPause: 7},
			action{stepCheckAck, testNow + 7}},
		{"the client's system has answered", view{unconfirmed: true}, action{step: stepConfirm}},
		{"the client's system never answered",
			view{unconfirmed: true, ackMissing: true, progress: progress{hungUp: true}},
			action{step: stepDrop}},

		{"the session is at its end", view{state: closing}, action{step: stepFinish}},
		{"the session is at its end, its answers are not out",
			view{state: closing, unsent: true}, action{step: stepSend}},
		{"the session is at its end, the client gone",
			view{state: closing, progress: progress{hungUp: true}}, action{step: stepDrop}},
		{"the ended client still sends",
			view{progress: progress{lingerUntil: later}}, action{stepRead, later}},
		{"the ended client sends no more",
			view{progress: progress{lingerUntil: later, halfClosed: true}}, action{step: stepDrop}},
		{"the ended client has sent for long enough",
			view{progress: progress{lingerUntil: testNow}}, action{step: stepDrop}},

		{"the server stops: requests may be on their way",
			view{stopping: later, needsInput: true}, action{stepRead, pauseEnd}},
		{"the server stops, and soon all have to have come",
			view{stopping: soon, needsInput: true}, action{stepRead, soon}},
		{"the server stops, and none came",
			view{stopping: later, needsInput: true, progress: progress{timedOut: true}},
			action{step: stepFinish}},
		{"the server stops, and they had their time",
			view{stopping: testNow, needsInput: true}, action{step: stepFinish}},
		{"the server stops, and one that came in time is there",
			view{stopping: testNow}, action{step: stepProcess}},
		{"the server stops: the ended client may still send",
			view{stopping: later, progress: progress{lingerUntil: later}},
			action{stepRead, pauseEnd}},
		{"the server stops, the ended client is silent",
			view{stopping: later, progress: progress{lingerUntil: later, timedOut: true}},
			action{step: stepDrop}},
		{"the server stops, the ended client is silent and has not got all",
			view{stopping: later, undelivered: true,
				progress: progress{lingerUntil: later, timedOut: true}},
			action{stepRead, pauseEnd}},
		{"the connection is cut off",
			view{unsent: true, progress: progress{lost: true, lingerUntil: later}},
			action{step: stepDrop}},
	} {
		x.view.now = testNow
		if got := next(&x.view); got != x.want {
			t.Errorf("%s: got %v, want %v", x.what, got, x.want)
		}
	}
}

// everyView calls do with every view that the policy can tell from others.
func everyView(do func(view)) {
	times := []int64{0, testNow - 5, soon, later}
	for bits := range 1 << 12 {
		bit := func(n int) bool { return bits>>n&1 != 0 }
		v := view{
			now: testNow, ackPause: 1, needsInput: bit(0), hasRoom: bit(1), unsent: bit(2),
			unconfirmed: bit(3), ackMissing: bit(4), undelivered: bit(5),
			progress: progress{
				fresh: bit(6), timedOut: bit(7), halfClosed: bit(8), hungUp: bit(9), lost: bit(10),
			},
		}
		if bit(11) {
			v.deadline = later
		}
		for v.state = memcache.Ready; v.state <= memcache.Closing; v.state++ {
			for _, v.stopping = range times {
				for _, v.lingerUntil = range times {
					do(v)
				}
			}
		}
	}
}

func (a action) is(steps ...step) bool { return slices.Contains(steps, a.step) }

// invariants hold for an action in every view.
var invariants = map[string]func(v view, a action) bool{
	"a lost connection is closed": func(v view, a action) bool {
		return !v.lost || a.step == stepDrop
	},
	"a session that was closed has nothing to do": func(v view, a action) bool {
		return v.lingerUntil == 0 || a.step == stepRead || a.step == stepDrop
	},
	"no answer is made before the last ones are out and confirmed": func(v view, a action) bool {
		return !v.unsent && !v.unconfirmed || !a.is(stepProcess, stepWork, stepFinish)
	},
	"only what the client's system has is confirmed": func(v view, a action) bool {
		return a.step != stepConfirm || v.unconfirmed && !v.ackMissing && !v.unsent
	},
	"input is read if there is room, or it is needed, or discarded": func(v view, a action) bool {
		return a.step != stepRead || v.lingerUntil != 0 ||
			v.state == memcache.Waiting && v.hasRoom || v.state == memcache.Ready && v.needsInput
	},
	"a session works only on what is new": func(v view, a action) bool {
		return a.step != stepProcess || v.fresh && v.state != memcache.Closing ||
			v.state == memcache.Ready && !v.needsInput
	},
	"a job is begun once": func(v view, a action) bool {
		return a.step != stepWork || v.state == memcache.Working && !v.fresh
	},
	"a get whose client sends no more takes no item": func(v view, a action) bool {
		return v.state != memcache.Waiting || v.deadline == 0 || !v.halfClosed ||
			!a.is(stepProcess, stepRead, stepWatch)
	},
	"a get waits until its time": func(v view, a action) bool {
		return v.state != memcache.Waiting || v.lingerUntil != 0 ||
			!a.is(stepRead, stepWatch) || a.until == v.deadline
	},
	"time ends no connection whose session waits": func(v view, a action) bool {
		inTime := v
		inTime.timedOut, inTime.stopping = false, 0
		return v.state != memcache.Waiting || v.lingerUntil != 0 || a == next(&inTime)
	},
	"a server that stops waits for requests no longer than it may": func(v view, a action) bool {
		return v.stopping == 0 || v.lingerUntil != 0 || v.state != memcache.Ready ||
			a.step != stepRead || a.until > v.now && a.until <= v.stopping
	},
	"an ended client is listened to no longer than it may": func(v view, a action) bool {
		return v.lingerUntil == 0 || a.step != stepRead ||
			a.until > v.now && a.until <= v.lingerUntil
	},
	"a client that is gone is not waited for": func(v view, a action) bool {
		return !v.hungUp || !a.is(stepSend, stepCheckAck, stepWatch, stepFinish)
	},
	"a client that sends no more is not read from": func(v view, a action) bool {
		return !v.halfClosed || !a.is(stepRead, stepWatch)
	},
}

func TestWhatHoldsWhateverIsKnownOfAConnection(t *testing.T) {
	broken := make(map[string]bool)
	everyView(func(v view) {
		a := next(&v)
		for what, holds := range invariants {
			if !holds(v, a) && !broken[what] {
				broken[what] = true
				t.Errorf("got %+v in %+v, want that %s", a, v, what)
			}
		}
	})
}
