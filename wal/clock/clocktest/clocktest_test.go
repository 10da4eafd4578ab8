package clocktest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/clock/clocktest"
)

func TestTimersAreCalledInTheirOrderAndAtTheirTime(t *testing.T) {
	c := clocktest.New(time.UnixMilli(1000))
	var at []time.Duration
	note := func() { at = append(at, clock.Steady(c)) }
	c.AfterFunc(3*time.Second, note)
	c.AfterFunc(time.Second, func() {
		note()
		c.AfterFunc(time.Second, note)
	})
	stopped := c.AfterFunc(time.Second, note)
	if !stopped.Stop() || stopped.Stop() {
		t.Error("got true twice or never, want that a timer is stopped once")
	}
	c.Step(2500 * time.Millisecond)
	if want := []time.Duration{time.Second, 2 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("got calls at %v, want %v", at, want)
	}
	if got := clock.UnixMilli(c); got != 3500 {
		t.Errorf("got %d ms, want 3500", got)
	}
	c.Step(500 * time.Millisecond)
	if len(at) != 3 || c.Timers() != 0 {
		t.Errorf("got %d calls and %d timers, want 3 and 0", len(at), c.Timers())
	}
}

func TestSettingTheTimeOfDayRingsNothing(t *testing.T) {
	c := clocktest.New(time.UnixMilli(0))
	a := clock.NewAlarm(c)
	a.Set(time.Second)
	c.SetDay(time.UnixMilli(1e6))
	select {
	case <-a.C:
		t.Error("got an alarm, want none: no time has passed")
	default:
	}
	c.Step(time.Second)
	<-a.C
	if got := clock.UnixMilli(c); got != 1001000 {
		t.Errorf("got %d ms, want 1001000", got)
	}
}

func TestAnAlarmThatIsSetAnewDropsTheRingOfBefore(t *testing.T) {
	c := clocktest.New(time.UnixMilli(0))
	a := clock.NewAlarm(c)
	a.Set(time.Second)
	c.Step(time.Second)
	a.Set(time.Hour)
	select {
	case <-a.C:
		t.Error("got a ring, want none for an hour")
	default:
	}
	c.Step(time.Hour)
	<-a.C
}
