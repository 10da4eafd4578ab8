package transport

// A loop without a goroutine: a test takes its steps one at a time, in the order it wants.

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
	h := kind{kind: Best, still: true}.harness(t, 10)
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

// pass has time pass, and the loop look at the clock.
func (s *stillLoop) pass(d time.Duration) {
	s.still.Step(d)
	s.owner.clock.tick()
}

// connect returns a connection of the loop, and its other end.
func (s *stillLoop) connect() (c *epollConn, client int) {
	s.t.Helper()
	const kind = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
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
		s.t.Fatalf("got %d, %v, want %d bytes sent", n, err, len(text))
	}
}

// expect reads an answer that was sent.
func (s *stillLoop) expect(client int, want string) {
	s.t.Helper()
	answer := make([]byte, 100)
	if n, _ := unix.Read(client, answer); string(answer[:max(n, 0)]) != want {
		s.t.Errorf("got %q, want %q", answer[:max(n, 0)], want)
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

// jobsDone waits for the job of a connection, and for the jobs that follow it.
func (s *stillLoop) jobsDone(c *epollConn) {
	s.t.Helper()
	for c.working {
		eventually(s.t, "end of the job", c.jobDone.Load)
		s.readMail()
	}
}

// holdJobs keeps the workers from taking jobs until release is called, which returns their number.
func (s *stillLoop) holdJobs(w *workers) (release func() int) {
	eventually(s.t, "end of the workers", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running > 0 {
			return false
		}
		w.running = w.max
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
		t.Fatal("got a connection without work, want some left")
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
		t.Errorf("got %d jobs, want 1", n)
	}
	s.jobsDone(c)
}

// A get that waits has a timer. What ends the wait may be a job, in which the timer must not ring:
// the job would be done twice, by two workers at once.
func TestATimerOfAWaitDoesNotRingInTheJobThatEndsIt(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	release := s.holdJobs(s.owner.workers)
	s.send(client, "flush q\r\n")
	s.setTimer(c, s.owner.clock.Steady()+1)
	s.handleEvents(c, unix.EPOLLIN)
	if !c.working {
		t.Fatal("got no job, want one: a flush waits for the disk")
	}
	s.pass(time.Second)
	s.ringTimers()
	if n := release(); n != 1 {
		t.Errorf("got %d jobs, want 1", n)
	}
	s.jobsDone(c)
	s.expect(client, "END\r\n")
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
		t.Errorf("got %d jobs, want 1", n)
	}
	s.jobsDone(c)
	if !c.closed {
		t.Error("got a connection that is open, want it closed")
	}
}

func TestTheTimeOfDayRingsNoAlarmAndKeepsNoneFromRinging(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.send(client, "get q/t=1000\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	due := c.due
	day, _ := s.still.Now()
	s.still.SetDay(day.Add(time.Hour))
	s.pass(0)
	s.ringTimers()
	if c.due != due {
		t.Errorf("got a timer at %d, want %d", c.due, due)
	}
	s.still.SetDay(day.Add(-time.Hour))
	s.pass(time.Second)
	s.ringTimers()
	s.expect(client, "END\r\n")
}

// Another loop that was delayed after it looked may set the coarse clock back.
func TestAClockSetBackByAnotherLoopDoesNotHoldUpThisOne(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.send(client, "get q/t=1000\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	due := c.due
	back := &stepBack{s: s, at: due - 1}
	s.pass(time.Second)
	s.env.Steady = back.steady
	s.ringTimers()
	if c.due != due {
		t.Errorf("got a timer at %d, want %d", c.due, due)
	}
}

// stepBack is the clock of a session that asks, which another loop has just set back.
type stepBack struct {
	s     *stillLoop
	at    int64
	asked int
}

func (b *stepBack) steady() int64 {
	if b.asked++; b.asked > 1000 {
		b.s.t.Fatal("got a timer in the past without end")
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
	s.pass(drainPause)
	s.ringTimers()
	s.expect(client, "END\r\n")
	s.pass(drainPause)
	s.ringTimers()
	if c.lingerUntil == 0 {
		t.Error("got a connection that goes on, want its end when nothing comes")
	}
}

// The stop begins while the loop handles events, and another loop ticks the clock meanwhile.
func TestStopAnswersWhatCameInTimeWhenItBeginsInTheMiddleOfATurn(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.owner.stopping.Store(s.owner.clock.Steady() + drainTime.Milliseconds())
	s.send(client, "get none\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	s.expect(client, "END\r\n")
	s.send(client, "get none\r\n")
	s.pass(drainPause)
	s.ringTimers()
	s.noticeStop()
	s.handleEvents(c, unix.EPOLLIN)
	s.expect(client, "END\r\n")
}

// A client that sends just then would lose its answers.
func TestStopLetsAConnectionLingerThatItEnds(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	s.pass(drainPause)
	s.ringTimers()
	if c.closed || c.lingerUntil == 0 {
		t.Errorf("got closed %v, lingers until %d, want a connection that lingers",
			c.closed, c.lingerUntil)
	}
	s.pass(drainPause)
	s.ringTimers()
	if !c.closed {
		t.Error("got a connection that is open, want it closed after another pause")
	}
}

func TestStopGivesAConnectionItsPauseAfterALateAcknowledgement(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	c.unacked = 1
	s.setTimer(c, s.owner.clock.Steady())
	s.ringTimers()
	if c.unacked != 0 || c.lingerUntil != 0 || c.closed {
		t.Errorf("got unacked %d, lingers until %d, closed %v, want a connection that is read from",
			c.unacked, c.lingerUntil, c.closed)
	}
}

func TestStopDoesNotEndAConnectionThatIsToHaveAnotherTurn(t *testing.T) {
	s := newStillLoop(t)
	const gets = maxTurns * 512 // as many as are answered in a turn
	s.putItems(gets, 1)
	c, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	s.send(client, strings.Repeat("get q\r\n", gets)+"get q\r\n")
	s.handleEvents(c, unix.EPOLLIN)
	s.pass(drainPause)
	s.ringTimers()
	if !c.queued || c.lingerUntil != 0 {
		t.Errorf("got queued %v, ended %v, want true, false", c.queued, c.lingerUntil != 0)
	}
}

// A client that always sends more is not read from for longer than drainTime.
func TestStopEndsAConnectionWhoseTimeIsOverWhenItsRequestsAreAnswered(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	s.send(client, "get none\r\nget no")
	s.pass(drainTime)
	s.handleEvents(c, unix.EPOLLIN)
	s.expect(client, "END\r\n")
	if c.lingerUntil == 0 {
		t.Error("got a connection that goes on, want its end")
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
		t.Errorf("got a buffer of %d bytes, want none", cap(c.in.buf.b))
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
		t.Errorf("got closed %v, %d idle connections, want true, 2", c.closed, n)
	}
}

func TestAConnectionThatEpollDoesNotTakeIsClosed(t *testing.T) {
	s := newStillLoop(t)
	epoll := s.poll.fd
	s.poll.fd = -1
	c, client := s.connect()
	s.poll.fd = epoll
	defer unix.Close(client)
	if n, err := unix.Read(client, make([]byte, 1)); !c.closed || n != 0 || err != nil {
		t.Errorf("got closed %v, and %d, %v at the client, want true, and the end", c.closed, n,
			err)
	}
	if !strings.Contains(s.log.String(), "cannot be waited for") {
		t.Errorf("got log %q, want a line about it", s.log.String())
	}
}

// A set that wakes a get on its own loop is the common case.
func TestALoopDoesNotRingItself(t *testing.T) {
	s := newStillLoop(t)
	c, client := s.connect()
	defer unix.Close(client)
	s.sleepOnce(c)
	s.post(c)
	var b [8]byte
	if n, err := unix.Read(s.event, b[:]); err != unix.EAGAIN {
		t.Errorf("got %d, %v, want that it does not ring itself", n, err)
	}
	s.readMail()
	if !s.mailbox.sleep(true) {
		t.Fatal("got no sleep without mail, want one")
	}
	s.post(c)
	if _, err := unix.Read(s.event, b[:]); err != nil {
		t.Errorf("got %v, want a ring while the loop sleeps", err)
	}
	s.readMail()
}

// sleepOnce has the loop wait until a timer of c.
func (s *stillLoop) sleepOnce(c *epollConn) {
	s.t.Helper()
	s.setTimer(c, s.owner.clock.Steady()+1)
	if n := len(s.wait()); n != 0 {
		s.t.Fatalf("got %d events, want none", n)
	}
	s.setTimer(c, 0)
}
