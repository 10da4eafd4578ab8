package transport

// A connection of a loop: reading while its session takes input, writing what it answers, and what
// else the session may want. All of it runs on the loop but a session's jobs.

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

type link struct {
	loop    *loop
	fd      int
	tcp     bool
	session *memcache.Session
	peer    string  // its address
	in      input   // its buffer is nil while nothing is pending
	out     *buffer // answers that the socket did not take; nil: none
	gone    int     // bytes of out that it took since
	due     int64   // when, by the clock, its alarm rings; 0: none
	last    int64   // until when a lingering one is read from
	events  uint32  // what epoll is asked for; 0: nothing but the end
	doubt

	inside   bool        // the loop has taken it in
	known    bool        // registered with epoll
	working  bool        // a worker has the session
	lingers  bool        // this side has ended it
	halfEnd  bool        // the client sends no more, but may still read
	hungUp   bool        // the client is gone; something of it may still be to be read
	lost     bool        // to be closed as soon as no worker has the session
	closed   bool        // for good
	queued   bool        // in loop.again
	restless bool        // in loop.restless
	active   bool        // the session did something since the loop looked
	posted   atomic.Bool // in the loop's mailbox
	jobDone  atomic.Bool // the worker is done
	job      func()      // for the worker
}

func newLink(l *loop, fd int, tcp bool, peer memcache.Peer) *link {
	k := &link{loop: l, fd: fd, tcp: tcp, peer: peer.Addr}
	k.in.pools = &l.owner.buffers
	k.session = l.owner.o.Session(peer, k.post)
	return k
}

func (k *link) post() { k.loop.post(k) }

// maxTurns is how often a session works before others get their turn; each makes memcache.OutputLimit
// bytes of output at most, and an item.
const maxTurns = 4

// summoned sees to a connection that was posted: it is new, its session was woken, or its job is done.
func (l *loop) summoned(k *link) {
	switch {
	case k.closed:
		return
	case !k.inside:
		l.welcome(k)
		return
	case k.working:
		if !k.jobDone.Load() {
			return // woken as well
		}
		k.working = false
		k.jobDone.Store(false)
	}
	if !k.queued {
		l.advance(k)
	}
}

// welcome takes a new connection in.
func (l *loop) welcome(k *link) {
	k.inside = true
	for k.fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[k.fd] = k
	if l.draining {
		k.session.Drain()
	}
	l.advance(k)
}

// told sees to what epoll says of a connection.
func (l *loop) told(k *link, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.hangUp(k)
		return
	}
	k.leaves = k.leaves || events&unix.EPOLLRDHUP != 0
	switch {
	case k.working: // nothing can be done for it now
		l.listen(k, 0)
	case k.queued: // it has its turn soon
	case k.out != nil:
		l.advance(k)
	case events&unix.EPOLLIN != 0:
		l.receive(k)
	case events&unix.EPOLLRDHUP != 0: // asked for when no more can be read: the client of a wait is gone
		l.end(k, false)
	}
}

// hangUp sees to a connection whose other end is closed both ways. Epoll would not stop telling.
func (l *loop) hangUp(k *link) {
	k.hungUp = true
	l.forget(k)
	switch {
	case k.working, k.queued: // it is seen to after
	case k.lingers:
		l.discard(k) // closing before its input was read would have the system throw the answers away
	case k.out != nil, k.unsure > 0, k.waits() && !k.hasRoom():
		l.end(k, false)
	default:
		l.receive(k)
	}
}

// advance lets the session work until it lacks input, waits, has a job, or others have to have their
// turn, and sees to what it wants then.
func (l *loop) advance(k *link) {
	for turn := 0; ; turn++ {
		switch {
		case k.lost:
			l.end(k, false)
			return
		case k.lingers:
			l.linger(k)
			return
		case turn == maxTurns:
			l.alarm(k, 0)
			l.queue(k)
			return
		case k.out != nil && !l.flush(k), !l.turn(k):
			l.end(k, false)
			return
		}
		switch {
		case k.out == nil:
		case k.hungUp:
			l.end(k, false)
			return
		default:
			l.alarm(k, 0)
			l.listen(k, unix.EPOLLOUT)
			return
		}
		if !l.acknowledged(k) {
			return
		}
		switch k.session.State() {
		case memcache.Closing:
			l.end(k, true)
			return
		case memcache.Working:
			l.alarm(k, 0)
			l.work(k, k.session.Job())
			return
		case memcache.Waiting:
			l.await(k)
			return
		}
		if k.session.Need() > len(k.in.pending()) {
			l.wantInput(k)
			return
		}
	}
}

// turn has the session work on what came and sends what it answers. It is false when the connection
// is broken.
func (l *loop) turn(k *link) bool {
	if k.out != nil || k.unsure > 0 {
		return true
	}
	l.stirred(k)
	n, out := k.session.Process(k.in.pending(), l.out.b[:0])
	k.in.consume(n)
	l.dropInput(k)
	if len(out) == 0 {
		return true
	}
	if n, ok := l.write(k, out); !ok {
		return false
	} else if n < len(out) {
		k.out = l.owner.buffers.get(len(out) - n)
		k.out.b = append(k.out.b, out[n:]...)
	}
	if cap(out) <= 4*classes[largest] {
		l.out.b = out[:0]
	}
	return true
}

// flush sends what the socket did not take before. It is false when the connection is broken.
func (l *loop) flush(k *link) bool {
	n, ok := l.write(k, k.out.b[k.gone:])
	if k.gone += n; ok && k.gone == len(k.out.b) {
		k.dropOutput()
	}
	return ok
}

func (k *link) dropOutput() {
	if k.out != nil {
		k.in.pools.put(k.out)
		k.out, k.gone = nil, 0
	}
}

// write sends what the socket takes, and tells the session. An answer with items of plain gets leaves when these are
// noted to be gone: a client that has it finds the server in no other state, whenever that dies.
func (l *loop) write(k *link, b []byte) (n int, ok bool) {
	doubted := k.doubted(k.session, l.owner.clock.Steady(), func() bool { return silent(k.fd) })
	send, held := writeNow, k.tcp && !doubted && k.session.Unconfirmed()
	if held {
		send = holdNow
	}
	n, err := send(k.fd, b)
	if err != nil {
		return 0, err == unix.EAGAIN
	}
	if doubted {
		k.unsure += n
	} else {
		k.session.Sent(n)
	}
	if held {
		letGoNow(k.fd)
	}
	l.owner.o.Counters.BytesWritten.Add(uint64(n))
	return n, true
}

// acknowledged is called with all that was to be sent in the socket. It tells the session what is certain; or it
// ends the connection, or sets the alarm for the next look, and is false.
func (l *loop) acknowledged(k *link) bool {
	switch {
	case k.unsure == 0:
		return true
	case !unanswered(k.fd, l.owner.clock.Steady()-k.since):
		k.session.Sent(k.unsure)
		k.unsure, k.pause = 0, 0
		return true
	case k.hungUp:
		l.end(k, false)
	default:
		l.alarm(k, l.owner.clock.Steady()+k.nextPause())
		l.listen(k, 0)
	}
	return false
}

// receive reads once and goes on with what came.
func (l *loop) receive(k *link) {
	if k.lingers {
		l.discard(k)
		return
	}
	l.lend(k)
	space := k.space()
	if len(space) == 0 {
		l.advance(k)
		return
	}
	n, err := l.read(k, space)
	k.in.filled(max(n, 0))
	switch {
	case err == unix.EAGAIN && !k.hungUp:
		l.advance(k)
	case err != nil:
		l.end(k, false)
	case n == 0:
		k.halfEnd, k.leaves = true, true
		fallthrough
	default:
		l.advance(k)
	}
	l.settle(k)
}

// lend lets a connection without a buffer read into the loop's, unless it needs a larger one.
func (l *loop) lend(k *link) {
	switch need := k.session.Need(); {
	case k.in.buf != nil:
	case need > cap(l.in.b):
		k.in.buf = k.in.pools.get(need)
	default:
		l.in.b = l.in.b[:0]
		k.in.buf = l.in
	}
	if len(k.in.pending()) == 0 {
		k.in.start, k.in.full = 0, false
	}
}

// space is where to read to: little at a time while requests are expected.
func (k *link) space() []byte {
	need := k.session.Need()
	space := k.in.space(need)
	if !k.session.Bulk() {
		space = space[:min(len(space), max(inputSize, need))]
	}
	return space
}

func (l *loop) read(k *link, b []byte) (n int, err error) {
	n, err = readNow(k.fd, b)
	if n > 0 {
		k.heard = l.owner.clock.Steady()
		l.owner.o.Counters.BytesRead.Add(uint64(n))
	}
	return n, err
}

// settle takes the loop's buffer back, and a connection's own when nothing is in it.
func (l *loop) settle(k *link) {
	l.dropInput(k)
	switch {
	case k.in.buf == nil, k.in.buf != l.in:
	case len(k.in.pending()) == 0:
		k.in.buf = nil
	default:
		own := k.in.pools.get(max(len(k.in.pending()), k.session.Need()))
		own.b = append(own.b, k.in.pending()...)
		k.in.buf, k.in.start = own, 0
		k.in.filled(0)
	}
}

// dropInput gives a connection's own buffer back when nothing is in it: it may be silent from now on.
func (l *loop) dropInput(k *link) {
	if k.in.buf != nil && k.in.buf != l.in && len(k.in.pending()) == 0 {
		k.in.release()
	}
}

// hasRoom tells whether more may be read while the session takes nothing.
func (k *link) hasRoom() bool { return len(k.in.pending()) < classes[largest] }

// waits tells whether the session is a get's that waits for an item.
func (k *link) waits() bool {
	_, timed := k.session.Deadline()
	return timed
}

// wantInput has the connection read from.
func (l *loop) wantInput(k *link) {
	switch {
	case k.halfEnd:
		l.end(k, false)
		return
	case !l.draining:
		l.alarm(k, 0)
	case l.drained():
		l.end(k, true)
		return
	default:
		l.alarm(k, l.owner.clock.Steady()+drainPause.Milliseconds())
	}
	l.listen(k, unix.EPOLLIN)
}

// drained tells that the server stops, and that requests had their time to come.
func (l *loop) drained() bool { return l.draining && l.owner.clock.Steady() >= l.owner.stopping.Load() }

// await sees to a session that waits: a client that goes away is noticed, and what it sends meanwhile
// is kept, within the bound of the buffer. A get that waits is not worth it when the client sends no
// more: one that is gone looks the same, and it must not take an item.
func (l *loop) await(k *link) {
	at, timed := k.session.Deadline()
	l.alarm(k, at)
	switch {
	case timed && (k.halfEnd || k.hungUp && !k.hasRoom()):
		l.end(k, false)
	case k.halfEnd:
		l.listen(k, 0)
	case k.hasRoom():
		l.listen(k, unix.EPOLLIN)
	case timed:
		l.listen(k, unix.EPOLLRDHUP)
	default:
		l.listen(k, 0)
	}
}

// timeHasCome sees to a connection whose alarm rang.
func (l *loop) timeHasCome(k *link) {
	switch {
	case k.lingers:
		if l.draining && l.owner.clock.Steady() < k.last && unsent(k.fd) {
			l.linger(k)
			return
		}
		l.close(k)
	case k.unsure > 0, k.waits():
		l.advance(k)
	case k.queued: // it has its turn soon
	case !l.drained() && unread(k.fd): // the loop was busy with others
		l.receive(k)
	default: // the server stops, and nothing came
		l.end(k, true)
	}
}

// work has a job done by a worker, and the connection posted after it.
func (l *loop) work(k *link, job func()) {
	k.working, k.job = true, job
	if k.session.Streaming() {
		l.owner.streamers.do(k)
	} else {
		l.owner.workers.do(k)
	}
}

// done is called by the worker.
func (k *link) done() {
	k.jobDone.Store(true)
	k.post()
}

// drain tells a connection that the server stops.
func (l *loop) drain(k *link) {
	k.session.Drain()
	if !k.working && !k.queued {
		l.advance(k)
	}
}

// lose has a connection closed, as soon as no worker has its session.
func (l *loop) lose(k *link) {
	k.lost = true
	if !k.working {
		l.end(k, false)
	}
}

// end ends the conversation. When it was this side that did, the client may still read what it was
// answered.
func (l *loop) end(k *link, linger bool) {
	if k.closed {
		return
	}
	k.lost = k.lost || !linger
	k.dropOutput()
	l.alarm(k, 0)
	if k.session.Streaming() {
		l.work(k, k.session.Close)
		return
	}
	k.session.Close()
	if k.lost || k.hungUp || unix.Shutdown(k.fd, unix.SHUT_WR) != nil {
		l.close(k)
		return
	}
	k.lingers = true
	k.last = l.owner.clock.Steady() + lingerTime.Milliseconds()
	k.in.consume(len(k.in.pending()))
	l.linger(k)
}

// linger lets a client whose connection ends read what it was answered: closing while it still
// sends, or before its input was read, would have the system throw the answers away. What it sends
// is discarded.
func (l *loop) linger(k *link) {
	until := k.last
	if l.draining {
		until = min(until, l.owner.clock.Steady()+drainPause.Milliseconds())
	}
	l.alarm(k, until)
	l.listen(k, unix.EPOLLIN)
}

func (l *loop) discard(k *link) {
	n, err := l.read(k, l.in.b[:cap(l.in.b)])
	if n > 0 || err == unix.EAGAIN && !k.hungUp {
		l.linger(k)
		return
	}
	l.close(k)
}

// close is the end of a connection whose session is closed.
func (l *loop) close(k *link) {
	if k.closed {
		return
	}
	k.closed = true
	l.alarm(k, 0)
	l.byFD[k.fd] = nil
	unix.Close(k.fd)
	if k.in.buf != nil && k.in.buf != l.in {
		k.in.release()
	}
	k.in.buf = nil
	l.owner.o.Logger.Debug("client gone", "peer", k.peer)
	l.owner.acceptor.leave()
}

// queue gives a connection another turn when others have had theirs.
func (l *loop) queue(k *link) {
	if !k.queued {
		k.queued = true
		l.again = append(l.again, k)
	}
}

// listen asks epoll for what the connection wants to be told. Of one that hung up it does not tell
// any more: what is wanted is tried for.
func (l *loop) listen(k *link, events uint32) {
	if events&unix.EPOLLIN != 0 {
		events |= unix.EPOLLRDHUP
	}
	switch {
	case k.hungUp && events&unix.EPOLLIN != 0:
		l.queue(k)
		return
	case k.hungUp, k.known && k.events == events:
		return
	}
	op := unix.EPOLL_CTL_MOD
	if !k.known {
		op = unix.EPOLL_CTL_ADD
	}
	if err := unix.EpollCtl(l.epoll, op, k.fd, &unix.EpollEvent{Events: events, Fd: int32(k.fd)}); err != nil {
		l.owner.o.Logger.Warn("cannot wait for a client, whose connection is closed", "error", fmt.Errorf("epoll_ctl: %w", err))
		l.lose(k)
		return
	}
	k.known, k.events = true, events
}

// forget takes a connection out of epoll.
func (l *loop) forget(k *link) {
	unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, k.fd, nil)
}
