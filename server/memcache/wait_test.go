package memcache

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

func TestWaitingEndsAtItsDeadline(t *testing.T) {
	sv := newServer(t)
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	before := sv.env.Steady()
	n, out := s.Process([]byte("get q/t=5000\r\nversion\r\n"), nil)
	at, ok := s.Deadline()
	if s.State() != Waiting || n != len("get q/t=5000\r\n") || len(out) != 0 || !ok || at != before+5000 {
		t.Fatalf("got state %d, %d consumed, answer %q, deadline in %d ms (%v), want a wait of 5000",
			s.State(), n, out, at-before, ok)
	}
	if n, out := s.Process([]byte("version\r\n"), nil); s.State() != Waiting || n != 0 || len(out) != 0 {
		t.Fatalf("got state %d and %q after a wake for nothing, want it waiting", s.State(), out)
	}
	for _, by := range []time.Duration{-time.Hour, 2 * time.Hour} {
		sv.set(by)
		if s.Process([]byte("version\r\n"), nil); s.State() != Waiting {
			t.Fatalf("got the end of the wait when the time was set by %v, want it to last", by)
		}
	}
	sv.pass(5000)
	if _, out := s.Process([]byte("version\r\n"), nil); string(out) != "END\r\nVERSION 1.2.3\r\n" {
		t.Errorf("got %q, want END and the version", out)
	}
	if _, ok := s.Deadline(); ok {
		t.Error("got a deadline without a wait, want none")
	}
}

func TestATimedGetCountsFromItsRequest(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", "a")
	sv.dial().expect("get q\r\n", value("q", "a"))
	sv.restart()
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	in := []byte("get q/t=5000\r\n")
	n, _ := s.Process(in, nil)
	if s.State() != Working {
		t.Fatalf("got state %d, want a job that loads the queue", s.State())
	}
	sv.pass(5000) // while it is loaded
	s.Job()()
	if _, out := s.Process(in[n:], nil); string(out) != "END\r\n" {
		t.Errorf("got state %d, %q, want END", s.State(), out)
	}
}

// What a session needs is prepared however long that takes: a transport that came at its deadline
// would spin.
func TestTimeDoesNotEndTheWaitForAQueueThatPreparesSomething(t *testing.T) {
	sv := newServer(t)
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	s.get.deadline = sv.env.Steady() - 1
	var ready func()
	then := func(fn func()) (stop func()) { ready = fn; return func() {} }
	s.await(then, func(s *Session) { s.reply("ready\r\n"); s.next = (*Session).request })
	s.Process(nil, nil)
	at, timed := s.Deadline() // a transport sets its timer by it
	if s.State() != Waiting || timed || at != 0 {
		t.Errorf("got state %d, a deadline %v at %d, want a wait without one", s.State(), timed, at)
	}
	ready()
	if _, out := s.Process(nil, nil); string(out) != "ready\r\n" {
		t.Errorf("got state %d, %q, want ready", s.State(), out)
	}
}

func TestDrainEndsWaiting(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.expect("get q/t=60000\r\n", "")
	c.s.Drain()
	c.run()
	c.expect("get q/t=60000\r\n", "END\r\nEND\r\n")
}

func TestCloseWhileWaitingLeavesTheItemToOthers(t *testing.T) {
	sv := newServer(t)
	a, b := sv.dial(), sv.dial()
	a.expect("get q/t=60000\r\n", "")
	b.set("q", "a") // claimed for the first, which does not come to see it
	a.Close()
	b.expect("get q\r\n", value("q", "a"))
}

func TestWaitingGetTakesWhatAnotherReturns(t *testing.T) {
	sv := newServer(t)
	a, b := sv.dial(), sv.dial()
	a.set("q", "a")
	a.expect("get q/open\r\n", value("q", "a"))
	b.expect("get r/t=60000 q\r\n", "")
	a.Close()
	b.run()
	b.expect("", value("q", "a"))
}

func TestSyncedSetHoldsBackWhatFollows(t *testing.T) {
	sv := newServer(t)
	woken := make(chan struct{}, 1)
	s := NewSession(sv.env, Peer{Local: true}, func() { woken <- struct{}{} })
	defer s.Close()
	for s.Process([]byte("set q 0 0 1\r\na\r\n"), nil); s.State() == Working; s.Process([]byte("a\r\n"), nil) {
		s.Job()()
	}
	in := []byte("set q/sync 0 0 1\r\nb\r\nversion\r\n")
	n, out := s.Process(in, nil)
	if s.State() != Waiting || len(out) != 0 || n != len(in)-len("version\r\n") {
		t.Fatalf("got state %d, %d consumed, %q, want a wait for the sync", s.State(), n, out)
	}
	if _, ok := s.Deadline(); ok {
		t.Error("got a deadline for a sync, want none")
	}
	<-woken
	if _, out := s.Process(in[n:], nil); string(out) != "STORED\r\nVERSION 1.2.3\r\n" {
		t.Errorf("got %q, want STORED and the version", out)
	}
}

// backlog creates a queue q that takes no item until release is called.
func (sv *testServer) backlog(fs *disktest.FS) (release func()) {
	sv.t.Helper()
	sv.dial().set("q", "a")
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	sv.t.Cleanup(release)
	fs.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpSync {
			<-gate
		}
		return nil
	})
	q, err := sv.registry.Queue([]byte("q"))
	const long = 64 << 10
	for size := long; size >= 0; size -= long { // to the segment's last bit
		for err == nil {
			err = q.Put(make([]byte, size), wal.Meta{})
		}
		if !errors.Is(err, queue.ErrBacklog) {
			sv.t.Fatal(err)
		}
		err = nil
	}
	return release
}

func TestSetOnADiskWithABacklogWaitsWithoutAJob(t *testing.T) {
	fs := disktest.New()
	sv := newServer(t, func(sv *testServer) {
		sv.queues.Log = wal.Options{FS: fs, Lag: 2 << 20, SyncEvery: wal.SyncNever}
	})
	release := sv.backlog(fs)
	in := []byte("set q 0 0 1\r\nb\r\nversion\r\n")
	woke := func() { t.Error("got a wake of a session after its end, want none") }
	vanished := NewSession(sv.env, Peer{Local: true}, woke)
	vanished.Process(in, nil)
	if vanished.State() != Waiting {
		t.Errorf("got state %d, want it waiting", vanished.State())
	}
	vanished.Close()
	woken := make(chan struct{}, 1)
	s := NewSession(sv.env, Peer{Local: true}, func() { woken <- struct{}{} })
	defer s.Close()
	n, _ := s.Process(in, nil)
	for range 2 { // once it is woken for nothing
		m, out := s.Process(in[n:], nil)
		_, timed := s.Deadline()
		if s.State() != Waiting || s.Job() != nil || m != 0 || len(out) != 0 || timed {
			t.Fatalf("got state %d, %d consumed, %q, a deadline %v, want a wait without job and deadline",
				s.State(), m, out, timed)
		}
	}
	release()
	var out []byte
	for s.State() == Waiting { // the disk has caught up, then there is room
		<-woken
		var more int
		more, out = s.Process(in[n:], out)
		n += more
	}
	if string(out) != "STORED\r\nVERSION 1.2.3\r\n" {
		t.Errorf("got %q, want the item and STORED", out)
	}
}

func TestParkedQueueIsLoadedByAJob(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", "a", "b")
	sv.restart()
	woken := make(chan struct{}, 1)
	s := NewSession(sv.env, Peer{Local: true}, func() { woken <- struct{}{} })
	defer s.Close()
	in := []byte("get q\r\nset q 0 0 1\r\nc\r\n")
	n, out := s.Process(in, nil)
	if s.State() != Working || len(out) != 0 {
		t.Fatalf("got state %d, %q, want a job", s.State(), out)
	}
	if n, out := s.Process(in[n:], nil); s.State() != Working || n != 0 || len(out) != 0 {
		t.Fatalf("got state %d, %q before the job was done, want it working", s.State(), out)
	}
	s.Job()()
	m, out := s.Process(in[n:], nil)
	for s.State() == Waiting { // the first item after a start needs room
		<-woken
		var more int
		more, out = s.Process(in[n+m:], out)
		m += more
	}
	if string(out) != value("q", "a")+"STORED\r\n" {
		t.Errorf("got %q, want the item and STORED", out)
	}
}

func TestFirstSetMakesTheQueueByAJob(t *testing.T) {
	sv := newServer(t)
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	in := []byte("set q 0 0 1\r\na\r\n")
	n, _ := s.Process(in, nil)
	if s.State() != Working {
		t.Fatalf("got state %d, want a job", s.State())
	}
	s.Job()()
	if m, out := s.Process(in[n:], nil); n+m != len(in) || string(out) != "STORED\r\n" {
		t.Errorf("got %d consumed, %q, want all and STORED", n+m, out)
	}
}

// Whoever puts an item into a queue that a get waits in looks at the waiter.
func TestAGetEntersAWaitQueueWhileItIsServedInAnother(t *testing.T) {
	sv := newServer(t)
	var queues [2]Queue
	for i, name := range []string{"a", "b"} {
		q, err := sv.env.Registry.Queue([]byte(name))
		if err == nil {
			err = q.Create()
		}
		if err != nil {
			t.Fatal(err)
		}
		queues[i] = q
	}
	a, b := queues[0], queues[1]
	w := sv.env.Registry.NewWaiter(func() {})
	if claimed, err := w.TryWait(a, false); claimed || err != nil {
		t.Fatalf("got %v, %v, want a wait", claimed, err)
	}
	put := make(chan error)
	go func() { put <- a.TryPut([]byte("x"), queue.Meta{}) }()
	if _, err := w.TryWait(b, false); err != nil {
		t.Fatal(err)
	}
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	if q, it, ok := w.Stop(); !ok || q.Name() != "a" {
		t.Errorf("got %v, want the item of a", ok)
	} else {
		q.Return(it)
	}
}
