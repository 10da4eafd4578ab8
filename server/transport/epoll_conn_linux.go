package transport

// One connection of a loop: the loop does what the policy says, until that waits, and goes on when epoll,
// the mailbox or a timer tells that there is something new. All of it runs on the loop but a session's jobs.

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

type epollConn struct {
	conn   // the buffer of its input is nil while nothing is pending
	loop   *loop
	fd     int
	tcp    bool
	out    *buffer // answers that the socket did not take; nil: none
	taken  int     // bytes of out that it took since
	due    int64   // when, by the clock, its timer rings; 0: none
	events uint32  // what epoll is asked for; 0: nothing but the end

	registered bool        // with the loop
	known      bool        // to epoll
	working    bool        // a worker has the session
	closed     bool        // for good
	queued     bool        // in loop.ready
	recent     bool        // in loop.recentlyActive
	active     bool        // the session did something since the loop looked
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

// handleWake sees to a connection that was posted: it is new, its session was woken, or its job is done.
func (l *loop) handleWake(c *epollConn) {
	switch {
	case c.closed:
		return
	case !c.registered:
		l.register(c)
	case c.working:
		if !c.jobDone.Load() {
			return // woken as well
		}
		c.working = false
		c.jobDone.Store(false)
	}
	if !c.queued {
		l.drive(c)
	}
}

// register takes a new connection in.
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

// handleEvents sees to what epoll says of a connection. Of one that hung up it would not stop telling, so it is
// not asked any more.
func (l *loop) handleEvents(c *epollConn, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.hungUp = true
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	}
	c.leaves = c.leaves || events&unix.EPOLLRDHUP != 0
	switch {
	case c.working: // nothing can be done for it now
		l.listen(c, 0)
	case c.queued: // it has its turn soon
	default:
		l.advance(c, events)
	}
}

// advance reads or writes what it can, and goes on with that.
func (l *loop) advance(c *epollConn, events uint32) {
	switch {
	case c.out != nil:
		l.flush(c)
	case events&unix.EPOLLIN != 0, c.hungUp: // of which nothing tells that there is something to read
		l.receive(c)
	case events&unix.EPOLLRDHUP != 0: // asked for when no more can be read
		c.halfEnd = true
	}
	l.drive(c)
	l.reclaimBuffer(c)
}

// handleTimer sees to a connection whose time has come.
func (l *loop) handleTimer(c *epollConn) {
	switch {
	case c.queued: // it has its turn soon
	case (l.draining || c.lingers != 0) && unread(c.fd): // the loop was busy with others
		l.advance(c, unix.EPOLLIN)
	default:
		c.late = true
		l.drive(c)
	}
}

// maxTurns is how often a session works before others get their turn; each makes memcache.OutputLimit
// bytes of output at most, and an item.
const maxTurns = 4

// drive does what the policy says, until that waits, a worker has the session, or others have to have their
// turn.
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
	v.owes = v.unsure && unanswered(c.fd, v.now-c.since)
	v.undelivered = v.late && v.lingers != 0 && undelivered(c.fd)
	return next(&v)
}

// answer lets the session work on what came and sends what it answers.
func (l *loop) answer(c *epollConn) {
	l.markActive(c)
	out := c.process(l.out.b[:0])
	l.dropInput(c)
	if len(out) == 0 {
		return
	}
	if n := l.write(c, out); n < len(out) && !c.lost {
		c.out = l.owner.buffers.get(len(out) - n)
		c.out.b = append(c.out.b, out[n:]...)
	}
	if cap(out) <= 4*classes[largest] {
		l.out.b = out[:0]
	}
}

// flush sends what the socket did not take before.
func (l *loop) flush(c *epollConn) {
	if c.taken += l.write(c, c.out.b[c.taken:]); c.taken == len(c.out.b) {
		c.dropOutput()
	}
}

func (c *epollConn) dropOutput() {
	if c.out != nil {
		c.in.pools.put(c.out)
		c.out, c.taken = nil, 0
	}
}

// write sends what the socket takes, and tells the session.
func (l *loop) write(c *epollConn, b []byte) int {
	now := l.owner.clock.Steady()
	how := c.sending(now, c.quiet(now) && silent(c.fd))
	corked := how == held && c.tcp
	send := writeNow
	if corked {
		send = holdNow
	}
	n, err := send(c.fd, b)
	if err != nil {
		c.lost = c.lost || err != unix.EAGAIN
		return 0
	}
	c.sent(n, how)
	if corked {
		letGoNow(c.fd)
	}
	l.owner.o.Counters.BytesWritten.Add(uint64(n))
	return n
}

// receive reads once.
func (l *loop) receive(c *epollConn) {
	l.lendBuffer(c)
	space := c.space()
	if len(space) == 0 {
		return
	}
	n, err := readNow(c.fd, space)
	c.received(n, l.owner.clock.Steady())
	l.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0:
	case err == nil:
		c.receivedAll()
	case err != unix.EAGAIN, c.hungUp:
		c.lost = true
	}
}

// lendBuffer lets a connection without a buffer read into the loop's, unless it needs a larger one.
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
	if !c.session.Bulk() && c.lingers == 0 {
		space = space[:min(len(space), max(inputSize, need))]
	}
	return space
}

// reclaimBuffer takes the loop's buffer back, and a connection's own when nothing is in it.
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

// dropInput gives a connection's own buffer back when nothing is in it: it may be silent from now on.
func (l *loop) dropInput(c *epollConn) {
	if c.in.buf != nil && c.in.buf != l.in && len(c.in.pending()) == 0 {
		c.in.release()
	}
}

// work has a job done by a worker, and the connection posted after it.
func (l *loop) work(c *epollConn, job func()) {
	c.working, c.job = true, job
	if c.session.Streaming() {
		l.owner.streamers.do(c)
	} else {
		l.owner.workers.do(c)
	}
}

// done is called by the worker.
func (c *epollConn) done() {
	c.jobDone.Store(true)
	c.post()
}

// notifyStop tells a connection that the server stops, or has it closed as soon as no worker has its session.
func (l *loop) notifyStop(c *epollConn, cutOff bool) {
	c.session.Drain()
	c.lost = c.lost || cutOff
	if !c.working {
		l.drive(c)
	}
}

// end closes the session, by a worker if it may wait for the disk, after which it is called again; then the
// connection, or this side of it.
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

// close is the end of a connection whose session is closed.
func (l *loop) close(c *epollConn) {
	c.closed = true
	l.byFD[c.fd] = nil
	unix.Close(c.fd)
	if c.in.buf != nil && c.in.buf != l.in {
		c.in.release()
	}
	c.in.buf = nil
	l.owner.o.Logger.Debug("client gone", "peer", c.peer)
	l.owner.acceptor.leave()
}

// queue gives a connection another turn when others have had theirs.
func (l *loop) queue(c *epollConn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

// waitsFor is what epoll is asked for by the steps that wait.
var waitsFor = [...]uint32{stepSend: unix.EPOLLOUT, stepLook: 0, stepRead: unix.EPOLLIN | unix.EPOLLRDHUP, stepWatch: unix.EPOLLRDHUP, stepWait: 0}

// await has the loop come back when the connection need not wait any more. It is false when it cannot wait.
func (l *loop) await(c *epollConn, a action) bool {
	c.late = false
	l.setTimer(c, a.until)
	if a.step == stepLook {
		c.lookLater()
	}
	if !c.hungUp {
		return l.listen(c, waitsFor[a.step])
	}
	if a.step == stepRead { // nothing tells when: it is tried
		l.queue(c)
	}
	return true
}

// listen asks epoll for what the connection wants to be told, and is false when that does not take it: then
// the connection is lost.
func (l *loop) listen(c *epollConn, events uint32) bool {
	if c.hungUp || c.known && c.events == events {
		return true
	}
	op := unix.EPOLL_CTL_MOD
	if !c.known {
		op = unix.EPOLL_CTL_ADD
	}
	if err := unix.EpollCtl(l.epoll, op, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.fd)}); err != nil {
		l.owner.o.Logger.Warn("cannot wait for a client, whose connection is closed", "error", fmt.Errorf("epoll_ctl: %w", err))
		c.lost = true
		return false
	}
	c.known, c.events = true, events
	return true
}
