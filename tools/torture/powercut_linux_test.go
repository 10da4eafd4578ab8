package torture

// Real power cuts. The server is under load on ext4, xfs or btrfs. The disk loses power at some
// write, and with it a random part of its cache. Then the file system recovers, and the server on
// it.

import (
	"flag"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

var cuts = flag.Int("cuts", 2, "power cuts on each file system")

// interval is the server's sync interval. grace is how old an item must be to survive a power cut
// without /sync: the interval, and the time that a slow machine may need for a sync.
const (
	interval = "100ms"
	grace    = 5 * time.Second
)

var small = []string{"--segment-size", "256KiB", "--sync", interval}

func TestWhatWasSyncedSurvivesAPowerCut(t *testing.T) { cutOnEach(t, 3, *cuts) }

// That many queues share one sync of the file system.
func TestWhatManyQueuesSyncedTogetherSurvivesAPowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("repeats much of the test before")
	}
	cutOnEach(t, 100, (*cuts+1)/2)
}

func cutOnEach(t *testing.T, queues, n int) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			k.needs(t)
			if testing.Short() {
				n = 1
			}
			// Five cuts under one load. Each load has a new file system, and frees its disks
			// afterwards.
			for done := 0; done < n; done += 5 {
				t.Run(strconv.Itoa(done),
					func(t *testing.T) { cutLoad(t, k, min(5, n-done), queues) })
			}
		})
	}
}

// blackout is a disk after a power cut, and what was promised before.
type blackout struct {
	disk *device
	at   *moment
}

func cutLoad(t *testing.T, k kind, n, queues int) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	s := newShelf(t)
	disk := k.make(t, s, k.size)
	m := k.use(t, s, disk)
	l := newLedger()
	d := launch(t, m.dir+"/data", small...)
	w := l.put(d, names(queues)...)
	var images []blackout
	for range n {
		acks := l.acks.Load() + 300 + rng.Int64N(500) + int64(queues)*50
		until(t, "answers", func() bool { d.lives(); return l.acks.Load() >= acks })
		images = append(images, blackoutOf(disk, l, rng))
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	d.Kill()
	m.unmount()
	for i, b := range images {
		b.check(t, k, s, l, rng, i%2 == 0)
	}
	t.Logf("%d answers, %d power cuts", l.acks.Load(), n)
}

func names(n int) (queues []string) {
	for i := range n {
		queues = append(queues, "queue"+strconv.Itoa(i))
	}
	return queues
}

// blackoutOf cuts the power at one of the disk's next writes. It reads what is promised before
// that, and what may be taken after.
func blackoutOf(disk *device, l *ledger, rng *rand.Rand) blackout {
	taken := make(chan blackout)
	disk.cut(1+rng.IntN(30), func() {
		at := l.promised()
		image := disk.afterPowerCutLocked(rng)
		l.gone(at)
		go func() { taken <- blackout{image, at} }()
	})
	return <-taken
}

// check compares what a server delivers from the disk with what was promised. With again, power is
// cut once more while the file system and the server recover.
func (b blackout) check(t *testing.T, k kind, s *shelf, l *ledger, rng *rand.Rand, again bool) {
	t.Helper()
	var second *device
	if again {
		b.disk.cut(1+rng.IntN(60), func() { second = b.disk.afterPowerCutLocked(rng) })
	}
	m := k.use(t, s, b.disk)
	d := launch(t, m.dir+"/data", small...)
	if again { // all that the server has done may be lost, as nothing was taken yet
		b.disk.cut(0, nil)
		d.dial().figures(t, "")
		b.disk.mu.Lock()
		if second == nil {
			second = b.disk.afterPowerCutLocked(rng)
		}
		b.disk.mu.Unlock()
	}
	if err := b.at.judge(d, l, grace); err != nil {
		t.Errorf("%v\n%s", err, d.Log)
	}
	if strings.Contains(d.Log.String(), "damage") && strings.Contains(d.Log.String(), "ERROR") {
		t.Logf("the server reports:\n%s", d.Log)
	}
	d.Kill()
	m.unmount()
	if again {
		blackout{second, b.at}.check(t, k, s, l, rng, false)
	}
}
