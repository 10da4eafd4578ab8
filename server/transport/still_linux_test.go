package transport

// A loop that nobody runs: a test does what a loop does, in the order it wants, one step at a time.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/wal"
)

type stillLoop struct {
	*loop
	*harness
}

func newStillLoop(t *testing.T) *stillLoop {
	t.Helper()
	still := kind{"still", func(o Options) (Transport, error) { o.Loops = 0; return NewEpoll(o) }}
	h := still.harness(t, 10)
	l, err := newLoop(h.transport.(*Epoll))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.each(l.lose)
		l.release()
	})
	return &stillLoop{l, h}
}

// connect returns a connection that the loop has taken in, and its other end.
func (s *stillLoop) connect() (k *link, client int) {
	s.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil || !s.owner.door.enter() {
		s.t.Fatal(err)
	}
	k = newLink(s.loop, fds[0], false, true)
	s.welcome(k)
	return k, fds[1]
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
		err = q.Make()
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
func (s *stillLoop) jobsDone(k *link) {
	s.t.Helper()
	for k.working {
		eventually(s.t, "end of the job", k.jobDone.Load)
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
	k, client := s.connect()
	s.send(client, strings.Repeat("get q\r\n", gets)+"flush other\r\n")
	s.told(k, unix.EPOLLIN)
	if !k.queued {
		t.Fatal("it has nothing left to do")
	}
	answers := make([]byte, 1<<20)
	unix.Read(client, answers)
	unix.Close(client)
	release := s.holdJobs(s.owner.workers)
	s.told(k, unix.EPOLLIN|unix.EPOLLHUP)
	for range 3 {
		s.goOn()
	}
	if n := release(); n != 1 {
		t.Errorf("the worker was told %d times", n)
	}
	s.jobsDone(k)
}

func TestAnUploadThatIsCutOffBeforeItsTurnIsClosedOnce(t *testing.T) {
	s := newStillLoop(t)
	k, client := s.connect()
	s.send(client, fmt.Sprintf("set q 0 0 %d\r\nabc", 1<<20))
	s.told(k, unix.EPOLLIN)
	s.jobsDone(k)
	unix.Close(client)
	s.queue(k)
	release := s.holdJobs(s.owner.streamers)
	s.lose(k)
	for range 3 {
		s.goOn()
	}
	if n := release(); n != 1 {
		t.Errorf("the worker was told %d times", n)
	}
	s.jobsDone(k)
	if !k.closed {
		t.Error("it is not closed")
	}
}

func TestTheTimeOfDayRingsNoAlarmAndKeepsNoneFromRinging(t *testing.T) {
	s := newStillLoop(t)
	k, client := s.connect()
	defer unix.Close(client)
	s.send(client, "get q/t=1000\r\n")
	s.told(k, unix.EPOLLIN)
	due, now := k.due, s.owner.Now()
	s.owner.now.Store(now + time.Hour.Milliseconds())
	s.ringAlarms()
	if k.due != due {
		t.Errorf("its alarm is at %d, want %d", k.due, due)
	}
	s.owner.now.Store(now - time.Hour.Milliseconds())
	s.owner.steady.Store(due)
	s.ringAlarms()
	answer := make([]byte, 100)
	if n, _ := unix.Read(client, answer); string(answer[:max(n, 0)]) != "END\r\n" {
		t.Errorf("it was answered %q", answer[:max(n, 0)])
	}
}

// Another loop may have set the clock back by what passed while it was held up.
func TestAClockSetBackByAnotherLoopDoesNotHoldUpThisOne(t *testing.T) {
	s := newStillLoop(t)
	k, client := s.connect()
	defer unix.Close(client)
	s.send(client, "get q/t=1000\r\n")
	s.told(k, unix.EPOLLIN)
	due := k.due
	back := &stepBack{s: s, at: due - 1}
	s.owner.steady.Store(due)
	s.env.Steady = back.steady
	s.ringAlarms()
	if k.due != due {
		t.Errorf("its alarm is at %d, want %d", k.due, due)
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
	b.s.owner.steady.Store(b.at)
	return b.at
}

// stopping has the loop notice that the transport stops.
func (s *stillLoop) stopping() {
	s.owner.draining.Store(s.owner.Steady() + drainTime.Milliseconds())
	s.noticeStop()
}

func TestStopAnswersWhatALoopThatWasBusyDidNotReadInTime(t *testing.T) {
	s := newStillLoop(t)
	k, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	s.send(client, "get none\r\n")
	s.owner.steady.Store(k.due)
	s.ringAlarms()
	answer := make([]byte, 100)
	if n, _ := unix.Read(client, answer); string(answer[:max(n, 0)]) != "END\r\n" {
		t.Errorf("it was answered %q", answer[:max(n, 0)])
	}
	s.owner.steady.Store(k.due)
	s.ringAlarms()
	if !k.lingers {
		t.Error("it is not ended when nothing comes")
	}
}

func TestStopDoesNotEndAConnectionThatIsToHaveAnotherTurn(t *testing.T) {
	s := newStillLoop(t)
	const gets = maxTurns * 512 // as many as are answered in a turn
	s.putItems(gets, 1)
	k, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	due := k.due
	s.send(client, strings.Repeat("get q\r\n", gets)+"get q\r\n")
	s.told(k, unix.EPOLLIN)
	s.owner.steady.Store(due)
	s.ringAlarms()
	if !k.queued || k.lingers {
		t.Errorf("another turn: %v, ended: %v", k.queued, k.lingers)
	}
}

// One that always has more is not heard for longer than requests have to come.
func TestStopEndsAConnectionWhoseTimeIsOverWhenItsRequestsAreAnswered(t *testing.T) {
	s := newStillLoop(t)
	k, client := s.connect()
	defer unix.Close(client)
	s.stopping()
	s.send(client, "get none\r\nget no")
	s.owner.steady.Store(s.owner.draining.Load())
	s.told(k, unix.EPOLLIN)
	answer := make([]byte, 100)
	if n, _ := unix.Read(client, answer); string(answer[:max(n, 0)]) != "END\r\n" || !k.lingers {
		t.Errorf("it was answered %q; ended: %v", answer[:max(n, 0)], k.lingers)
	}
}

func TestAConnectionThatUploadedKeepsNoBuffer(t *testing.T) {
	s := newStillLoop(t)
	k, client := s.connect()
	defer unix.Close(client)
	body := strings.Repeat("x", 70_000)
	s.send(client, fmt.Sprintf("set q 0 0 %d\r\n%s\r\n", len(body), body))
	for answer := make([]byte, 100); ; {
		s.told(k, unix.EPOLLIN)
		s.jobsDone(k)
		if n, _ := unix.Read(client, answer); n > 0 {
			break
		}
	}
	if k.in.buf != nil {
		t.Errorf("it keeps %d bytes", cap(k.in.buf.b))
	}
}

func TestWhatAClosedConnectionUsedIsGivenBackLikeThatOfASilentOne(t *testing.T) {
	s := newStillLoop(t)
	_, silent := s.connect()
	defer unix.Close(silent)
	k, client := s.connect()
	unix.Close(client)
	s.told(k, unix.EPOLLIN|unix.EPOLLHUP)
	s.rest()
	s.rest()
	if n := s.owner.calm.rested.Load(); !k.closed || n != 2 {
		t.Errorf("closed: %v; of 2 connections %d count", k.closed, n)
	}
}

func TestAConnectionThatEpollDoesNotTakeIsClosed(t *testing.T) {
	s := newStillLoop(t)
	epoll := s.epoll
	s.epoll = -1
	k, client := s.connect()
	s.epoll = epoll
	defer unix.Close(client)
	if n, err := unix.Read(client, make([]byte, 1)); !k.closed || n != 0 || err != nil {
		t.Errorf("closed: %v; its client reads %d bytes, %v", k.closed, n, err)
	}
	if !strings.Contains(s.log.String(), "cannot wait for a client") {
		t.Errorf("logged %q", s.log.String())
	}
}

// A set on the loop that hands its item to a get on the same loop is the common case.
func TestALoopDoesNotRingItself(t *testing.T) {
	s := newStillLoop(t)
	k, client := s.connect()
	defer unix.Close(client)
	s.sleepOnce(k)
	s.post(k)
	var b [8]byte
	if n, err := unix.Read(s.event, b[:]); err != unix.EAGAIN {
		t.Errorf("it rang: %d bytes, %v", n, err)
	}
	s.readMail()
	if !s.mail.sleep(true) {
		t.Fatal("it does not sleep without mail")
	}
	s.post(k)
	if _, err := unix.Read(s.event, b[:]); err != nil {
		t.Errorf("it did not ring while the loop slept: %v", err)
	}
	s.readMail()
}

// sleepOnce has the loop sleep until an alarm of k.
func (s *stillLoop) sleepOnce(k *link) {
	s.t.Helper()
	s.alarm(k, s.owner.clock.at(time.Now())+20)
	if n := s.wait(make([]unix.EpollEvent, 8)); n != 0 {
		s.t.Fatalf("%d events", n)
	}
	s.alarm(k, 0)
}
