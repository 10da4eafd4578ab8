package transport

// A loop that nobody runs: a test does what a loop does, in the order it wants, one step at a time.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/wal"
)

type stillLoop struct {
	*loop
	*harness
}

func newStillLoop(t testing.TB) *stillLoop {
	t.Helper()
	h := kind{"still", Best, 0}.harness(t, 10)
	e, err := newEpoll(h.server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.owner.cutting.Store(true)
		l.noticeStop()
		l.release()
	})
	return &stillLoop{l, h}
}

// connect returns a connection that the loop has taken in, and its other end.
func (s *stillLoop) connect() (c *epollConn, client int) {
	s.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil || !s.owner.acceptor.enter() {
		s.t.Fatal(err)
	}
	c = newEpollConn(s.loop, fds[0], false, memcache.Peer{Local: true})
	s.handleWake(c)
	return c, fds[1]
}

func (s *stillLoop) send(client int, text string) {
	s.t.Helper()
	if n, err := unix.Write(client, []byte(text)); n < len(text) {
		s.t.Fatal(n, err)
	}
}

// putItems fills the queue q.
func (s *stillLoop) putItems(n, size int) {
	s.t.Helper()
	q, err := s.registry.Queue([]byte("q"))
	if err == nil {
		err = q.Create()
	}
	for range n {
		if err == nil {
			err = q.Put(make([]byte, size), wal.Meta{})
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// jobsDone waits for the job of a connection, and for those that come of it.
func (s *stillLoop) jobsDone(c *epollConn) {
	s.t.Helper()
	for c.working {
		eventually(s.t, "end of the job", c.jobDone.Load)
		s.readMail()
	}
}

// holdJobs has no job of w taken until the function it returns is called, which returns how many there are.
func (s *stillLoop) holdJobs(w *workers) (release func() int) {
	eventually(s.t, "end of the workers", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running > 0 {
			return false
		}
		w.running = w.most
		return true
	})
	return func() int {
		n := len(w.waiting)
		w.running = 1
		w.run(w.next())
		return n
	}
}

func TestAClientThatHangsUpBeforeItsTurnHasItsRequestDoneOnce(t *testing.T) {
	s := newStillLoop(t)
	const gets = maxTurns * 512 // as many as are answered in a turn
	s.putItems(gets, 1)
	c, client := s.connect()
	s.send(client, strings.Repeat("get q\r\n", gets)+"flush other\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	if !c.queued {
		t.Fatal("it has nothing left to do")
	}
	answers := make([]byte, 1<<20)
	unix.Read(client, answers)
	unix.Close(client)
	release := s.holdJobs(s.owner.workers)
	s.handleEvents(c, unix.EPOLLIN|unix.EPOLLHUP)
	for range 3 {
		s.runReady()
	}
	if n := release(); n != 1 {
		t.Errorf("the worker was told %d times", n)
	}
	s.jobsDone(c)
}

func TestAnUploadThatIsCutOffBeforeItsTurnIsClosedOnce(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	s.send(client, fmt.Sprintf("set q 0 0 %d\r\nabc", 1<<20))
	s.handleEvents(c, unix.EPOLLIN)
	s.jobsDone(c)
	unix.Close(client)
	s.queue(c)
	release := s.holdJobs(s.owner.streamers)
	s.notifyStop(c, true)
	for range 3 {
		s.runReady()
	}
	if n := release(); n != 1 {
		t.Errorf("the worker was told %d times", n)
	}
	s.jobsDone(c)
	if !c.closed {
		t.Error("it is not closed")
	}
}

func TestTheTimeOfDayRingsNoAlarmAndKeepsNoneFromRinging(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.send(client, "get q/t=1000\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	due, now := c.due, s.owner.clock.Now()
	s.owner.clock.now.Store(now + time.Hour.Milliseconds())
	s.ringTimers()
	if c.due != due {
		t.Errorf("its alarm is at %d, want %d", c.due, due)
	}
	s.owner.clock.now.Store(now - time.Hour.Milliseconds())
	s.owner.clock.steady.Store(due)
	s.ringTimers()
	answer := make([]byte, 100)
	if n, _ := unix.Read(client, answer); string(answer[:max(n, 0)]) != "END\r\n" {
		t.Errorf("it was answered %q", answer[:max(n, 0)])
	}
}

// Another loop may have set the clock back by what passed while it was held up.
func TestAClockSetBackByAnotherLoopDoesNotHoldUpThisOne(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.send(client, "get q/t=1000\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	due := c.due
	back := &stepBack{s: s, at: due - 1}
	s.owner.clock.steady.Store(due)
	s.env.Steady = back.steady
	s.ringTimers()
	if c.due != due {
		t.Errorf("its alarm is at %d, want %d", c.due, due)
	}
}

// stepBack is a session's clock that another loop sets as soon as it is looked at.
type stepBack struct {
	s     *stillLoop
	at    int64
	asked int
}

func (b *stepBack) steady() int64 {
	if b.asked++; b.asked > 1000 {
		b.s.t.Fatal("an alarm in the past is rung again and again")
	}
	b.s.owner.clock.steady.Store(b.at)
	return b.at
}

// stopping has the loop notice that the transport stops.
func (s *stillLoop) stopping() {
	s.owner.stopping.Store(s.owner.clock.Steady() + drainTime.Milliseconds())
	s.noticeStop()
}

func TestStopAnswersWhatALoopThatWasBusyDidNotReadInTime(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	s.send(client, "get none\r\n")
	s.owner.clock.steady.Store(c.due)
	s.ringTimers()
	answer := make([]byte, 100)
	if n, _ := unix.Read(client, answer); string(answer[:max(n, 0)]) != "END\r\n" {
		t.Errorf("it was answered %q", answer[:max(n, 0)])
	}
	s.owner.clock.steady.Store(c.due)
	s.ringTimers()
	if c.lingers == 0 {
		t.Error("it is not ended when nothing comes")
	}
}

func TestStopDoesNotEndAConnectionThatIsToHaveAnotherTurn(t *testing.T) {
	s := newStillLoop(t)
	const gets = maxTurns * 512 // as many as are answered in a turn
	s.putItems(gets, 1)
	c, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	due := c.due
	s.send(client, strings.Repeat("get q\r\n", gets)+"get q\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	s.owner.clock.steady.Store(due)
	s.ringTimers()
	if !c.queued || c.lingers != 0 {
		t.Errorf("another turn: %v, ended: %v", c.queued, c.lingers != 0)
	}
}

// One that always has more is not heard for longer than requests have to come.
func TestStopEndsAConnectionWhoseTimeIsOverWhenItsRequestsAreAnswered(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	s.send(client, "get none\r\nget no")
	s.owner.clock.steady.Store(s.owner.stopping.Load())
	s.handleEvents(c, unix.EPOLLIN)
	answer := make([]byte, 100)
	if n, _ := unix.Read(client, answer); string(answer[:max(n, 0)]) != "END\r\n" || c.lingers == 0 {
		t.Errorf("it was answered %q; ended: %v", answer[:max(n, 0)], c.lingers != 0)
	}
}

func TestAConnectionThatUploadedKeepsNoBuffer(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	body := strings.Repeat("x", 70_000)
	s.send(client, fmt.Sprintf("set q 0 0 %d\r\n%s\r\n", len(body), body))
	for answer := make([]byte, 100); ; {
		s.handleEvents(c, unix.EPOLLIN)
		s.jobsDone(c)
		if n, _ := unix.Read(client, answer); n > 0 {
			break
		}
	}
	if c.in.buf != nil {
		t.Errorf("it keeps %d bytes", cap(c.in.buf.b))
	}
}

func TestWhatAClosedConnectionUsedIsGivenBackLikeThatOfASilentOne(t *testing.T) {
	s := newStillLoop(t)
	_, silent := s.connect()
	defer unix.Close(silent)
	c, client := s.connect()
	unix.Close(client)
	s.handleEvents(c, unix.EPOLLIN|unix.EPOLLHUP)
	s.releaseIdle()
	s.releaseIdle()
	if n := s.owner.releaser.idle.Load(); !c.closed || n != 2 {
		t.Errorf("closed: %v; of 2 connections %d count", c.closed, n)
	}
}

func TestAConnectionThatEpollDoesNotTakeIsClosed(t *testing.T) {
	s := newStillLoop(t)
	epoll := s.epoll
	s.epoll = -1
	c, client := s.connect()
	s.epoll = epoll
	defer unix.Close(client)
	if n, err := unix.Read(client, make([]byte, 1)); !c.closed || n != 0 || err != nil {
		t.Errorf("closed: %v; its client reads %d bytes, %v", c.closed, n, err)
	}
	if !strings.Contains(s.log.String(), "cannot wait for a client") {
		t.Errorf("logged %q", s.log.String())
	}
}

// A set on the loop that hands its item to a get on the same loop is the common case.
func TestALoopDoesNotRingItself(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.sleepOnce(c)
	s.post(c)
	var b [8]byte
	if n, err := unix.Read(s.event, b[:]); err != unix.EAGAIN {
		t.Errorf("it rang: %d bytes, %v", n, err)
	}
	s.readMail()
	if !s.mailbox.sleep(true) {
		t.Fatal("it does not sleep without mail")
	}
	s.post(c)
	if _, err := unix.Read(s.event, b[:]); err != nil {
		t.Errorf("it did not ring while the loop slept: %v", err)
	}
	s.readMail()
}

// sleepOnce has the loop sleep until an alarm of c.
func (s *stillLoop) sleepOnce(c *epollConn) {
	s.t.Helper()
	s.setTimer(c, s.owner.clock.at(time.Now())+20)
	if n := s.wait(make([]unix.EpollEvent, 8)); n != 0 {
		s.t.Fatalf("%d events", n)
	}
	s.setTimer(c, 0)
}
