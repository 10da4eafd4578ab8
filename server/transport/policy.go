package transport

// The policy of a connection: what to do next, as a function of what is known about it. A transport
// asks, does that, notes the result and asks again. The transport decides only how.

import "github.com/darner/darner/server/memcache"

// step is what to do next with a connection.
type step uint8

const (
	stepProcess step = iota // let the session work on its input, and send its answers
	stepConfirm             // tell the session that the client's system has its answers
	stepWork                // run the session's job
	stepFinish              // close the session and this side of the connection, which then lingers
	stepDrop                // close the session and the connection

	// These wait: for what they say, until the session is woken, or until the time of the action.
	stepSend     // wait until the socket takes more of the answers
	stepCheckAck // wait until that time, then see what the client's system has acknowledged
	stepRead     // wait for input or its end; input is discarded while the connection lingers
	stepWatch    // wait until the client is gone
	stepWait     // wait for nothing else
)

// action is a step, and the latest time at which it ends.
type action struct {
	step  step
	until int64 // by the clock; 0: no such time
}

// view is what the policy looks at. All times are the clock's.
type view struct {
	now      int64
	stopping int64 // until when a stopping server reads requests; 0: it does not stop

	state      memcache.State
	deadline   int64 // of a get that waits for an item; 0: none waits
	needsInput bool  // the session can do nothing without more input
	hasRoom    bool  // more input can be kept while the session takes none

	unsent      bool  // the socket did not take all answers
	unconfirmed bool  // it did, but the session does not know: the client may be gone
	ackMissing  bool  // if unconfirmed: the client's system has not acknowledged them
	ackPause    int64 // if unconfirmed: how long until the next check, in milliseconds
	undelivered bool  // if timedOut: the client's system does not have all answers

	progress
}

// progress is what has happened to a connection.
type progress struct {
	fresh       bool  // something happened since the session last worked
	timedOut    bool  // the time of the last action came, and nothing before it
	halfClosed  bool  // the client sends no more, but may still read
	hungUp      bool  // the client is gone; some of its input may be left to read
	lost        bool  // the connection is to be closed, whatever else is known
	lingerUntil int64 // this side has ended it, and listens until then at most; 0: it has not
}

// next is the policy.
func next(v *view) action {
	switch {
	case v.lost:
		return action{step: stepDrop}
	case v.lingerUntil != 0:
		return v.linger()
	case v.unsent, v.unconfirmed:
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
		if v.needsInput {
			return v.request()
		}
	}
	return action{step: stepProcess}
}

// deliver handles answers that the client may not have. The session does nothing meanwhile, so a
// client that does not read costs no more than these.
func (v *view) deliver() action {
	switch {
	case !v.unsent && !v.ackMissing:
		return action{step: stepConfirm}
	case v.hungUp:
		return action{step: stepDrop}
	case v.unsent:
		return action{step: stepSend}
	}
	return action{stepCheckAck, v.now + v.ackPause}
}

// wait handles a session that waits. It notices a client that goes away, and keeps what the client
// sends meanwhile, as far as the buffer has room. A waiting get is dropped when its client sends no
// more: a client that is gone looks the same, and must not take an item.
func (v *view) wait() action {
	timed := v.deadline != 0
	switch {
	case timed && (v.halfClosed || v.hungUp && !v.hasRoom):
		return action{step: stepDrop}
	case v.fresh:
		return action{step: stepProcess}
	case v.halfClosed:
		return action{step: stepWait}
	case v.hasRoom:
		return action{stepRead, v.deadline}
	case timed:
		return action{stepWatch, v.deadline}
	}
	return action{step: stepWait}
}

// request waits for the next request, or the rest of one: without end, and only briefly when the
// server stops.
func (v *view) request() action {
	switch {
	case v.halfClosed:
		return action{step: stepDrop}
	case v.stopping == 0:
		return action{step: stepRead}
	case v.timedOut, v.now >= v.stopping:
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

// linger lets a client read its answers after this side ended the connection. If the connection
// were closed while the client still sends, or with input unread, the system would discard the
// answers.
func (v *view) linger() action {
	if v.halfClosed || v.now >= v.lingerUntil || v.timedOut && !v.undelivered {
		return action{step: stepDrop}
	}
	if v.stopping != 0 {
		return action{stepRead, min(v.lingerUntil, v.now+drainPause.Milliseconds())}
	}
	return action{stepRead, v.lingerUntil}
}
