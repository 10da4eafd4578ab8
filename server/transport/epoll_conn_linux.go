package transport

// One connection of a loop. The loop does what the policy says until that is to wait, and goes on
// when epoll, the mailbox or a timer has news. All of it runs on the loop, except for a session's
// jobs.

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

type epollConn struct {
	conn     // the buffer of its input is nil while nothing is pending
	loop     *loop
	fd       int
	tcp      bool
	out      *buffer // text of answers that the socket did not take whole; nil: it took all
	flushed  int     // bytes of out that the socket has taken since
	due      int64   // when, by the clock, its timer rings; 0: it has none
	interest uint32  // the events that epoll is asked for; 0: the end of the connection alone

	registered bool        // with the loop
	polled     bool        // registered with epoll
	working    bool        // a worker has the session
	closed     bool        // for good
	queued     bool        // in loop.ready
	recent     bool        // in loop.recentlyActive
	active     bool        // the session did something since loop.releaseIdle last looked
	posted     atomic.Bool // in the loop's mailbox
	jobDone    atomic.Bool // the worker is done
	job        func()      // for the worker
}

func newEpollConn(l *loop, fd int, tcp bool, peer memcache.Peer) *epollConn {
	c := &epollConn{loop: l, fd: fd, tcp: tcp}
	c.peer, c.in.pools = peer.Addr, &l.owner.buffers
	c.session = l.owner.o.Session(peer, c.post)
	return c
}

func (c *epollConn) post() { c.loop.post(c) }

// handleWake handles a connection that was posted: it is new, its session was woken, or its job is
// done.
func (l *loop) handleWake(c *epollConn) {
	switch {
	case c.closed:
		return
	case !c.registered:
		l.register(c)
	case c.working:
		if !c.jobDone.Load() {
			return // its session was woken meanwhile
		}
		c.working = false
		c.jobDone.Store(false)
	}
	if !c.queued {
		l.drive(c)
	}
}

// register adds a new connection.
func (l *loop) register(c *epollConn) {
	c.registered = true
	for c.fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[c.fd] = c
	if l.draining {
		c.session.Drain()
	}
}

// handleEvents handles what epoll reports for a connection. It would report a hang-up without end,
// so it is asked no more about a connection that hung up.
func (l *loop) handleEvents(c *epollConn, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.hungUp = true
		l.poll.control(unix.EPOLL_CTL_DEL, c.fd, 0)
	}
	c.sendsNoMore = c.sendsNoMore || events&unix.EPOLLRDHUP != 0
	switch {
	case c.working: // nothing can be done now
		l.listen(c, 0)
	case c.queued: // its turn comes soon
	default:
		l.advance(c, events)
	}
}

// advance reads or writes what it can, and goes on from there.
func (l *loop) advance(c *epollConn, events uint32) {
	switch {
	case c.out != nil:
		l.flush(c)
	case events&unix.EPOLLIN != 0, c.hungUp: // after a hang-up epoll does not report input
		l.receive(c)
	case events&unix.EPOLLRDHUP != 0: // stepWatch asks for it alone, as there is no room to read
		c.halfClosed = true
	}
	l.drive(c)
	l.reclaimBuffer(c)
}

// handleTimer handles a connection whose time has come.
func (l *loop) handleTimer(c *epollConn) {
	switch {
	case c.queued: // its turn comes soon
	case (l.owner.stopping.Load() != 0 || c.lingerUntil != 0) && unread(c.fd):
		// Other connections have delayed the loop.
		l.advance(c, unix.EPOLLIN)
	default:
		c.timedOut = true
		l.drive(c)
	}
}

// maxTurns is how often a session works before other connections get their turn. Each time it makes
// memcache.OutputLimit bytes of output and an item at most.
const maxTurns = 4

// drive does what the policy says until that is to wait, a worker has the session, or it is the
// turn of others.
func (l *loop) drive(c *epollConn) {
	c.fresh = true
	for turn := 0; ; {
		switch a := l.next(c); a.step {
		case stepProcess:
			if turn++; turn > maxTurns {
				l.setTimer(c, 0)
				l.queue(c)
				return
			}
			l.answer(c)
		case stepConfirm:
			c.confirm()
		case stepWork:
			l.work(c, c.session.Job())
			return
		case stepFinish, stepDrop:
			if l.end(c, a.step); c.working || c.closed {
				return
			}
		default:
			if l.await(c, a) {
				return
			}
		}
	}
}

// next asks the policy, with what the system knows.
func (l *loop) next(c *epollConn) action {
	v := c.view(l.owner.clock.Steady(), l.owner.stopping.Load())
	v.unsent = c.out != nil
	v.ackMissing = v.unconfirmed && ackMissing(c.fd, v.now-c.unackedSince)
	v.undelivered = v.timedOut && v.lingerUntil != 0 && undelivered(c.fd)
	return next(&v)
}

// answer lets the session work on its input and sends its answers.
func (l *loop) answer(c *epollConn) {
	l.markActive(c)
	out := c.process(l.out.b[:0])
	l.dropInput(c)
	if len(out) == 0 {
		return
	}
	if n := l.write(c, out); (n < len(out) || c.session.Lends()) && !c.lost {
		c.out = l.owner.buffers.get(len(out) - n)
		c.out.b = append(c.out.b, out[n:]...)
	}
	if cap(out) <= 4*classes[largest] {
		l.out.b = out[:0]
	}
}

// flush sends what the socket did not take before.
func (l *loop) flush(c *epollConn) {
	c.flushed += l.write(c, c.out.b[c.flushed:])
	if c.flushed == len(c.out.b) && !c.session.Lends() {
		c.dropOutput()
	}
}

func (c *epollConn) dropOutput() {
	if c.out != nil {
		c.in.pools.put(c.out)
		c.out, c.flushed = nil, 0
	}
}

// write sends what the socket takes of the answers, and notes it. b is what is left of their text;
// it returns how much of that the socket took.
func (l *loop) write(c *epollConn, b []byte) (text int) {
	now := l.owner.clock.Steady()
	how := c.howToSend(now, c.quiet(now) && unresponsive(c.fd))
	corked := how == sendCorked && c.tcp
	n, err := l.send(c, b, corked)
	if err != nil {
		c.lost = c.lost || err != unix.EAGAIN
		return 0
	}
	text = c.sent(n, how)
	if corked {
		uncorkNow(c.fd)
	}
	l.owner.o.Counters.BytesWritten.Add(uint64(n))
	return text
}

// send sends what the socket takes.
func (l *loop) send(c *epollConn, text []byte, corked bool) (int, error) {
	switch {
	case c.session.Lends():
		return l.sendParts(c, text, corked)
	case corked:
		return writeCorkedNow(c.fd, text)
	}
	return writeNow(c.fd, text)
}

// sendParts is send for answers with payloads that are lent: all in one call.
func (l *loop) sendParts(c *epollConn, text []byte, corked bool) (int, error) {
	l.parts = c.session.Parts(text, l.parts[:0])
	n, err := writePartsNow(c.fd, l.parts, l.vectors[:], corked)
	clear(l.parts)
	if err == unix.EFAULT {
		c.session.Unreadable(err)
	}
	return n, err
}

// receive reads once.
func (l *loop) receive(c *epollConn) {
	l.lendBuffer(c)
	space := c.space()
	if len(space) == 0 {
		return
	}
	n, direct, err := l.read(c, space)
	c.received(n-direct, l.owner.clock.Steady())
	l.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0:
	case err == nil:
		c.receivedAll()
	case err != unix.EAGAIN, c.hungUp:
		c.lost = true
	}
}

// directSize bounds how many bytes of a body are received at once. They are still in the
// processor's cache when their checksum is made.
const directSize = 256 << 10

// read reads into space, and before that into memory of the session, if it lends some for a body
// that is coming in: so many bytes are direct.
func (l *loop) read(c *epollConn, space []byte) (n, direct int, err error) {
	var lent []byte
	if len(c.in.pending()) == 0 && c.lingerUntil == 0 {
		lent = c.session.Space()
	}
	if lent == nil {
		n, err = readNow(c.fd, space)
		return n, 0, err
	}
	if len(lent) > directSize {
		n, err = readNow(c.fd, lent[:directSize])
	} else {
		n, err = readIntoNow(c.fd, lent, space)
	}
	direct = min(n, len(lent))
	c.session.Received(direct, err == unix.EFAULT)
	if err == unix.EFAULT {
		n, err = readNow(c.fd, space)
	}
	if direct > 0 {
		c.lastInput = l.owner.clock.Steady()
	}
	return n, direct, err
}

// lendBuffer lets a connection without a buffer read into the loop's, or into one of its own if it
// needs a larger one.
func (l *loop) lendBuffer(c *epollConn) {
	switch need := c.need(); {
	case c.in.buf != nil:
	case need > cap(l.in.b):
		c.in.buf = c.in.pools.get(need)
	default:
		l.in.b = l.in.b[:0]
		c.in.buf = l.in
	}
	if len(c.in.pending()) == 0 {
		c.in.start, c.in.full = 0, false
	}
}

// space is where to read to: little at a time while requests are expected.
func (c *epollConn) space() []byte {
	need := c.need()
	space := c.in.space(need)
	if !c.session.Bulk() && c.lingerUntil == 0 {
		space = space[:min(len(space), max(inputSize, need))]
	}
	return space
}

// reclaimBuffer takes the loop's buffer back, and the connection's own if it is empty.
func (l *loop) reclaimBuffer(c *epollConn) {
	l.dropInput(c)
	switch {
	case c.in.buf == nil, c.in.buf != l.in:
	case len(c.in.pending()) == 0:
		c.in.buf = nil
	default:
		own := c.in.pools.get(max(len(c.in.pending()), c.session.Need()))
		own.b = append(own.b, c.in.pending()...)
		c.in.buf, c.in.start = own, 0
		c.in.filled(0)
	}
}

// dropInput gives a connection's own buffer back if it is empty: the client may be silent from now
// on.
func (l *loop) dropInput(c *epollConn) {
	if c.in.buf != nil && c.in.buf != l.in && len(c.in.pending()) == 0 {
		c.in.release()
	}
}

// work has a worker do a job and then post the connection. Until then the loop leaves the session
// alone: so no timer may ring.
func (l *loop) work(c *epollConn, job func()) {
	l.setTimer(c, 0)
	c.working, c.job = true, job
	if c.session.Streaming() {
		l.owner.streamers.do(c)
	} else {
		l.owner.workers.do(c)
	}
}

// done is called by the worker after the job.
func (c *epollConn) done() {
	c.jobDone.Store(true)
	c.post()
}

// notifyStop tells a connection that the server stops. cutOff closes it as soon as no worker has
// its session.
func (l *loop) notifyStop(c *epollConn, cutOff bool) {
	c.session.Drain()
	c.lost = c.lost || cutOff
	if !c.working {
		l.drive(c)
	}
}

// end closes the session, and then the connection or this side of it. If closing the session may
// wait for the disk a worker does it, and end is called again afterwards.
func (l *loop) end(c *epollConn, how step) {
	c.lost = how == stepDrop
	c.dropOutput()
	l.setTimer(c, 0)
	if c.session.Streaming() {
		l.work(c, c.session.Close)
		return
	}
	c.session.Close()
	if c.lost || unix.Shutdown(c.fd, unix.SHUT_WR) != nil {
		l.close(c)
		return
	}
	c.linger(l.owner.clock.Steady())
}

// close closes a connection whose session is closed.
func (l *loop) close(c *epollConn) {
	c.closed = true
	l.byFD[c.fd] = nil
	unix.Close(c.fd)
	if c.in.buf != nil && c.in.buf != l.in {
		c.in.release()
	}
	c.in.buf = nil
	l.owner.ended(&c.conn)
}

// queue gives a connection another turn after the others have had theirs.
func (l *loop) queue(c *epollConn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

// waitsFor has the events that the waiting steps ask epoll for.
var waitsFor = [...]uint32{
	stepSend:     unix.EPOLLOUT,
	stepCheckAck: 0,
	stepRead:     unix.EPOLLIN | unix.EPOLLRDHUP,
	stepWatch:    unix.EPOLLRDHUP,
	stepWait:     0,
}

// await has the loop return to the connection when its wait is over. It is false if the connection
// cannot wait.
func (l *loop) await(c *epollConn, a action) bool {
	c.timedOut = false
	l.setTimer(c, a.until)
	switch {
	case a.step == stepCheckAck:
		c.checkAckLater()
	case a.step == stepRead && c.tcp && c.paused():
		acknowledgeNow(c.fd)
	}
	if !c.hungUp {
		return l.listen(c, waitsFor[a.step])
	}
	if a.step == stepRead { // epoll does not report input after a hang-up: try
		l.queue(c)
	}
	return true
}

// listen asks epoll for events of a connection. It is false if epoll refuses: then the connection
// is lost.
func (l *loop) listen(c *epollConn, events uint32) bool {
	if c.hungUp || c.polled && c.interest == events {
		return true
	}
	op := unix.EPOLL_CTL_MOD
	if !c.polled {
		op = unix.EPOLL_CTL_ADD
	}
	if err := l.poll.control(op, c.fd, events); err != nil {
		l.owner.o.Logger.Warn("closing a connection that cannot be waited for",
			"peer", c.peer, "error", os.NewSyscallError("epoll_ctl", err))
		c.lost = true
		return false
	}
	c.polled, c.interest = true, events
	return true
}
