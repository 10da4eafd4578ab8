package torture

// Power cuts for real: the server under load on ext4, xfs and btrfs, the disk cut off at some
// write, with a random part of its cache lost; then the file system's own recovery, and the
// server's on it.

import (
	"flag"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

var cuts = flag.Int("cuts", 2, "power cuts on each file system")

// grace is how old an item must be to be safe from a power cut without /sync: the interval that
// the servers here are given, and what a slow machine may take for a sync.
const (
	interval = "100ms"
	grace    = 5 * time.Second
)

var small = []string{"--segment-size", "256KiB", "--sync", interval}

func TestWhatWasSyncedSurvivesAPowerCut(t *testing.T) { cutOnEach(t, 3, *cuts) }

// So many queues are synced together, by one sync of the file system.
func TestWhatManyQueuesSyncedTogetherSurvivesAPowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("much of the same")
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
			for done := 0; done < n; done += 5 { // five cuts of one load: a fresh file system each time, and its disks go after it
				t.Run(strconv.Itoa(done), func(t *testing.T) { cutLoad(t, k, min(5, n-done), queues) })
			}
		})
	}
}

// blackout is a disk after a power cut, and what had been promised until then.
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

// blackoutOf cuts a disk off at one of its next writes. What was promised is looked up before, what
// might have been taken after.
func blackoutOf(disk *device, l *ledger, rng *rand.Rand) blackout {
	taken := make(chan blackout)
	disk.cut(1+rng.IntN(30), func() {
		at := l.promised()
		image := disk.afterPowerCut(rng)
		l.gone(at)
		go func() { taken <- blackout{image, at} }()
	})
	return <-taken
}

// check brings a disk back and holds what a server delivers from it against what was promised;
// with again, power is cut once more while file system and server recover.
func (b blackout) check(t *testing.T, k kind, s *shelf, l *ledger, rng *rand.Rand, again bool) {
	t.Helper()
	var second *device
	if again {
		b.disk.cut(1+rng.IntN(60), func() { second = b.disk.afterPowerCut(rng) })
	}
	m := k.use(t, s, b.disk)
	d := launch(t, m.dir+"/data", small...)
	if again { // whatever it has done so far may be lost: nothing was taken yet
		b.disk.cut(0, nil)
		d.dial().figures(t, "")
		b.disk.mu.Lock()
		if second == nil {
			second = b.disk.afterPowerCut(rng)
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
