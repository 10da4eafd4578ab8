package transport

// The policy of a connection: what to do next, as a function of what is known of it. A transport asks,
// does that, notes what came of it and asks again; the only thing left to it is how.

import "github.com/darner/darner/server/memcache"

// step is what to do next with a connection.
type step uint8

const (
	stepProcess step = iota // let the session work on what came, and send what it answers
	stepConfirm             // tell the session that the client's system has what it was sent
	stepWork                // run the session's job
	stepFinish              // close the session and this side of the connection; then it lingers
	stepDrop                // close the session and the connection

	// These wait until what they say, until the session is woken, or until the time of the action.
	stepSend  // the socket takes more of the answers
	stepLook  // that time: then see what the client's system has acknowledged
	stepRead  // input comes, or its end; it is thrown away while the connection lingers
	stepWatch // the client is gone
	stepWait  // nothing else
)

// action is a step, and when it is over in any case.
type action struct {
	step  step
	until int64 // by the clock; 0: no such time
}

// view is what the policy looks at. All times are the clock's.
type view struct {
	now      int64
	stopping int64 // until when requests on their way are read; 0: the server does not stop

	state    memcache.State
	deadline int64 // of a get that waits for an item; 0: none does
	lacks    bool  // the session can do nothing without more input
	room     bool  // more input can be kept while the session takes none

	unsent      bool  // the socket did not take all of the answers
	unsure      bool  // it did, but they may have gone to nobody
	owes        bool  // if unsure: the client's system has not acknowledged them
	pause       int64 // if unsure: how long until it is asked again, in milliseconds
	undelivered bool  // if late: something of the answers has not reached the client's system

	ends
}

// ends is what has become of a connection.
type ends struct {
	fresh   bool  // something happened since the session last worked
	late    bool  // the time of the last action has come, and nothing before it
	halfEnd bool  // the client sends no more, but may still read
	hungUp  bool  // the client is gone; something of it may still be to be read
	lost    bool  // it is to be closed, whatever else is known
	lingers int64 // this side has ended it: until when at most the client is listened to; 0: it has not
}

// next is the policy.
func next(v *view) action {
	switch {
	case v.lost:
		return action{step: stepDrop}
	case v.lingers != 0:
		return v.linger()
	case v.unsent, v.unsure:
		return v.deliver()
	}
	switch v.state {
	case memcache.Closing:
		return v.finish()
	case memcache.Working:
		if !v.fresh {
			return action{step: stepWork}
		}
	case memcache.Waiting:
		return v.wait()
	default:
		if v.lacks {
			return v.request()
		}
	}
	return action{step: stepProcess}
}

// deliver sees to answers that the client may not have. The session does nothing meanwhile, so that a client
// that does not read costs no more than these.
func (v *view) deliver() action {
	switch {
	case !v.unsent && !v.owes:
		return action{step: stepConfirm}
	case v.hungUp:
		return action{step: stepDrop}
	case v.unsent:
		return action{step: stepSend}
	}
	return action{stepLook, v.now + v.pause}
}

// wait sees to a session that waits: a client that goes away is noticed, and what it sends meanwhile is
// kept, within the bound of the buffer. A get that waits is not worth it when the client sends no more: one
// that is gone looks the same, and it must not take an item.
func (v *view) wait() action {
	timed := v.deadline != 0
	switch {
	case timed && (v.halfEnd || v.hungUp && !v.room):
		return action{step: stepDrop}
	case v.fresh:
		return action{step: stepProcess}
	case v.halfEnd:
		return action{step: stepWait}
	case v.room:
		return action{stepRead, v.deadline}
	case timed:
		return action{stepWatch, v.deadline}
	}
	return action{step: stepWait}
}

// request waits for the next request, or the rest of one: for ever, and only briefly when the server stops.
func (v *view) request() action {
	switch {
	case v.halfEnd:
		return action{step: stepDrop}
	case v.stopping == 0:
		return action{step: stepRead}
	case v.late, v.now >= v.stopping:
		return v.finish()
	}
	return action{stepRead, min(v.stopping, v.now+drainPause.Milliseconds())}
}

// finish ends the conversation.
func (v *view) finish() action {
	if v.hungUp {
		return action{step: stepDrop}
	}
	return action{step: stepFinish}
}

// linger lets a client whose connection was ended read what it was answered: closing while it still sends,
// or before its input was read, would have the system throw the answers away.
func (v *view) linger() action {
	if v.halfEnd || v.now >= v.lingers || v.late && !v.undelivered {
		return action{step: stepDrop}
	}
	if v.stopping != 0 {
		return action{stepRead, min(v.lingers, v.now+drainPause.Milliseconds())}
	}
	return action{stepRead, v.lingers}
}
