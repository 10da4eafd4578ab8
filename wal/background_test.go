package wal_test

import (
	"testing"
	"testing/synctest"

	"github.com/darner/darner/wal"
)

func TestABackgroundThatIsHeldWorksInStepsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		o := options(m.FS)
		o.Background = wal.NewBackground(-1, nil)
		step, release := o.Background.Hold()
		l := open(t, "/data/q", o)
		c := consumer(t, l)
		fill(t, l, 0, 3000)
		drain(t, l, c)
		before := l.Stats().Segments
		if before < 3 {
			t.Fatalf("got %d segments, want some that are taken", before)
		}
		step()
		if got := l.Stats().Segments; got >= before {
			t.Errorf("got %d segments after the step, want fewer than %d", got, before)
		}
		fill(t, l, 3000, 6000)
		drain(t, l, c)
		release()
		synctest.Wait()
		if got := l.Stats().Segments; got > 2 {
			t.Errorf("got %d segments after the release, want those that are taken deleted", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		o.Background.Close()
	})
}
