package queue

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestTheIntervalOfScrubbingMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := timed()
		o.Log.FS, o.ScrubEvery = disktest.New(), -1
		r := open(t, "data", o)
		scrubbed := func(before time.Duration, when string) {
			t.Helper()
			want := time.Now().Add(-before).Truncate(time.Second)
			if last, ok := r.scrubber.last(); !ok || !last.Equal(want.UTC()) {
				t.Errorf("%s: got %v, %v, want %v", when, last, ok, want)
			}
		}
		pass(1000 * time.Hour)
		if last, ok := r.scrubber.last(); ok {
			t.Errorf("got a round at %v without an interval", last)
		}
		r.SetScrubEvery(10 * time.Hour) // from now on
		pass(time.Hour)
		scrubbed(time.Hour, "before a round")
		pass(10 * time.Hour)
		scrubbed(time.Hour, "after a round")
		r.SetScrubEvery(2 * time.Hour)
		pass(time.Hour + time.Minute)
		scrubbed(time.Minute, "after a shorter interval")
		r.SetScrubEvery(-1)
		pass(100 * time.Hour)
		scrubbed(100*time.Hour+time.Minute, "with none again")
	})
}
