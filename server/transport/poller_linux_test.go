package transport

import (
	"testing"

	"golang.org/x/sys/unix"
)

// newRungPoller returns a poller, and a descriptor of it that has an event.
func newRungPoller(t *testing.T, spare bool) (p *poller, event int) {
	t.Helper()
	p, err := newPoller(spare)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	event, err = unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(event) })
	if err := p.control(unix.EPOLL_CTL_ADD, event, unix.EPOLLIN); err != nil {
		t.Fatal(err)
	}
	return p, event
}

// waits are times of waits: long ones, brief ones, and some that let the scheduler in.
var waits = []int64{100, 101, 102, 110, 111, 200, 201}

func TestAWaitEndsWithAnEvent(t *testing.T) {
	for _, spare := range []bool{true, false} {
		p, event := newRungPoller(t, spare)
		for _, now := range waits {
			for _, timeout := range []int{0, 1, 100_000, -1} {
				events := p.wait(timeout, now)
				if len(events) != 1 || int(events[0].Fd) != event {
					t.Errorf("got %v from a wait of %d ms at %d, want one of %d", events, timeout,
						now, event)
				}
			}
		}
	}
}

func TestAWaitEndsWhenItsTimeIsOver(t *testing.T) {
	for _, spare := range []bool{true, false} {
		p, event := newRungPoller(t, spare)
		unix.Read(event, make([]byte, 8))
		for _, now := range waits {
			for _, timeout := range []int{0, 1, letInEvery + 1} {
				if events := p.wait(timeout, now); len(events) != 0 {
					t.Errorf("got %v from a wait of %d ms at %d, want none", events, timeout, now)
				}
			}
		}
	}
}

func TestWaitingAllocatesNothing(t *testing.T) {
	p, _ := newRungPoller(t, true)
	now := int64(100)
	if n := testing.AllocsPerRun(1000, func() {
		now++
		p.wait(-1, now)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
