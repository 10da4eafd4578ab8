package wal_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// A power cut takes records and leaves what the offset file says of them, or the other way round.
func TestBytesAreExactAfterAPowerCutTookItems(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 46))
		fs := disktest.New()
		back := wal.NewBackground(-1, nil)
		back.Hold()
		o := options(fs)
		o.Background = back
		l := open(t, "/data/q", o)
		c := consumer(t, l)
		l.Prepare()
		for i := range 30 {
			id := fmt.Sprintf("%06d", i)
			if _, err := l.Append(body(id, 50+rng.IntN(400)), wal.Meta{}); err != nil {
				t.Fatal(err)
			}
			if p, _, ok, err := c.TryNext(); ok && err == nil && rng.IntN(3) > 0 {
				if err := c.Take(p); err != nil {
					t.Fatal(err)
				}
			}
			if i == 5 {
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		image := fs.Crash(rng)
		l.Abandon()
		back.Close()
		glance, err := wal.Look(image, "/data/q")
		if err != nil {
			t.Fatal(err)
		}
		o.FS, o.Background = image, nil
		l = open(t, "/data/q", o)
		c = consumer(t, l)
		items, bytes := c.Pending()
		if !glance.Unsure && (glance.Items != items || glance.Bytes != bytes) {
			t.Errorf("seed %d: a glance is sure of %d items of %d bytes, there are %d of %d", seed,
				glance.Items, glance.Bytes, items, bytes)
		}
		for p, _, ok, err := c.Next(); ok; p, _, ok, err = c.Next() {
			if err != nil {
				t.Fatal(err)
			}
			items, bytes = items-1, bytes-p.Size
		}
		if items != 0 || bytes != 0 {
			t.Errorf("seed %d: %d items of %d bytes are announced and not there", seed, items, bytes)
		}
		l.Abandon()
	}
}
