// Package clients_test runs the real binary against clients that others wrote: Go's gomemcache
// here, those of other languages in the scripts beside this file.
package clients_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	_ "github.com/darner/darner/server" // so that a cached result is not taken for that of a changed server
	"github.com/darner/darner/tools/spawn"
)

const queue = "gomemcache"

func TestGomemcacheWorks(t *testing.T) {
	addr := startServer(t)
	t.Run("gets back what it sets", func(t *testing.T) { getsBackWhatItSets(t, addr) })
	t.Run("reads reliably", func(t *testing.T) { readsReliably(t, addr) })
	t.Run("deletes", func(t *testing.T) { deletes(t, addr) })
	t.Run("flushes, and takes the answer for an error", func(t *testing.T) { flushes(t, addr) })
	t.Run("is told that a queue cannot add", func(t *testing.T) { cannotAdd(t, addr) })
}

func getsBackWhatItSets(t *testing.T, addr string) {
	c := memcache.New(addr)
	everyByte := make([]byte, 256)
	megabyte := make([]byte, 1<<20)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for i := range megabyte {
		megabyte[i] = byte(i * i >> 7)
	}
	items := []memcache.Item{
		{Value: everyByte},
		{Value: []byte{}},
		{Value: megabyte},
		{Value: []byte("\r\nEND\r\n")},
		{Value: []byte("flags"), Flags: 1<<32 - 1},
		{Value: []byte("an hour"), Flags: 1, Expiration: 3600},
	}
	for _, it := range items {
		it.Key = queue
		if err := c.Set(&it); err != nil {
			t.Fatalf("set of %d bytes: %v", len(it.Value), err)
		}
	}
	for _, want := range items {
		got, err := c.Get(queue)
		if err != nil {
			t.Fatalf("get of %d bytes: %v", len(want.Value), err)
		}
		if got.Key != queue || got.Flags != want.Flags || !bytes.Equal(got.Value, want.Value) {
			t.Fatalf("got %q with flags %d and %d bytes, want flags %d and %d bytes",
				got.Key, got.Flags, len(got.Value), want.Flags, len(want.Value))
		}
	}
	wantEmpty(t, c, queue)
}

func readsReliably(t *testing.T, addr string) {
	set, first, second := memcache.New(addr), memcache.New(addr), memcache.New(addr)
	second.Timeout = 20 * time.Second
	if err := set.Set(&memcache.Item{Key: queue, Value: []byte("one")}); err != nil {
		t.Fatal(err)
	}
	wantItem(t, first, queue+"/open", "one")
	wantEmpty(t, set, queue)
	if err := first.Close(); err != nil { // the item goes back with the connection
		t.Fatal(err)
	}
	wantItem(t, second, queue+"/t=10000/open", "one")
	wantEmpty(t, second, queue+"/abort")
	wantItem(t, second, queue+"/open", "one")
	wantEmpty(t, second, queue+"/close")
	wantEmpty(t, set, queue)
}

func deletes(t *testing.T, addr string) {
	c := memcache.New(addr)
	if err := c.Delete(queue); err != nil {
		t.Fatalf("delete of nothing: %v", err)
	}
	if err := c.Set(&memcache.Item{Key: queue, Value: []byte("left")}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(queue); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, c, queue)
}

// The answer to flush_all is the one Kestrel's clients know; this client knows only OK.
func flushes(t *testing.T, addr string) {
	c := memcache.New(addr)
	if err := c.Set(&memcache.Item{Key: queue, Value: []byte("left")}); err != nil {
		t.Fatal(err)
	}
	if err := c.FlushAll(); err == nil || !strings.Contains(err.Error(), "Flushed all queues.") {
		t.Fatalf("flush_all: %v", err)
	}
	wantEmpty(t, c, queue)
	if err := c.Ping(); err != nil {
		t.Fatal(err)
	}
}

func cannotAdd(t *testing.T, addr string) {
	c := memcache.New(addr)
	err := c.Add(&memcache.Item{Key: queue, Value: []byte("x")})
	if err == nil || !strings.Contains(err.Error(), "not supported by a queue") {
		t.Fatalf("add: %v", err)
	}
	wantEmpty(t, c, queue)
}

func wantItem(t *testing.T, c *memcache.Client, key, want string) {
	t.Helper()
	it, err := c.Get(key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if string(it.Value) != want {
		t.Fatalf("get %s: %q, want %q", key, it.Value, want)
	}
}

func wantEmpty(t *testing.T, c *memcache.Client, key string) {
	t.Helper()
	if it, err := c.Get(key); err != memcache.ErrCacheMiss {
		t.Fatalf("get %s: %v, %v; want nothing", key, it, err)
	}
}

// startServer runs the real binary on a free port until the test ends, and checks that it then stops cleanly.
func startServer(t *testing.T) (addr string) {
	t.Helper()
	binary, err := spawn.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := spawn.Start(spawn.Command(binary, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := s.Stop(os.Interrupt, limit)
		s.Kill() // if that did not end it
		if err = errors.Join(err, s.Err); err != nil || t.Failed() {
			t.Errorf("server: %v\n%s", err, s.Log)
		}
	})
	if err := s.Ready(limit); err != nil {
		t.Fatal(err)
	}
	return s.Addr
}

// limit is how long starting and stopping may take.
const limit = time.Minute
