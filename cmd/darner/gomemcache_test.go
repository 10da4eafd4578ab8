package main

// The real binary with a client library by others, Go's gomemcache. Libraries of other languages
// are in .ci/clients.

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const clientQueue = "gomemcache"

func TestGomemcacheWorks(t *testing.T) {
	d := launch(t, t.TempDir())
	defer d.stop(os.Interrupt)
	addr := d.Addr
	t.Run("gets back what it sets", func(t *testing.T) { getsBackWhatItSets(t, addr) })
	t.Run("reads reliably", func(t *testing.T) { readsReliably(t, addr) })
	t.Run("deletes", func(t *testing.T) { deletes(t, addr) })
	t.Run("flushes", func(t *testing.T) { flushes(t, addr) })
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
		it.Key = clientQueue
		if err := c.Set(&it); err != nil {
			t.Fatalf("set of %d bytes: got %v, want no error", len(it.Value), err)
		}
	}
	for _, want := range items {
		got, err := c.Get(clientQueue)
		if err != nil {
			t.Fatalf("get of %d bytes: got %v, want no error", len(want.Value), err)
		}
		if got.Key != clientQueue || got.Flags != want.Flags ||
			!bytes.Equal(got.Value, want.Value) {
			t.Fatalf("got %q with flags %d and %d bytes, want flags %d and %d bytes",
				got.Key, got.Flags, len(got.Value), want.Flags, len(want.Value))
		}
	}
	wantEmpty(t, c, clientQueue)
}

func readsReliably(t *testing.T, addr string) {
	set, first, second := memcache.New(addr), memcache.New(addr), memcache.New(addr)
	second.Timeout = 20 * time.Second
	if err := set.Set(&memcache.Item{Key: clientQueue, Value: []byte("one")}); err != nil {
		t.Fatal(err)
	}
	wantItem(t, first, clientQueue+"/open", "one")
	wantEmpty(t, set, clientQueue)
	if err := first.Close(); err != nil { // the item goes back with the connection
		t.Fatal(err)
	}
	wantItem(t, second, clientQueue+"/t=10000/open", "one")
	wantEmpty(t, second, clientQueue+"/abort")
	wantItem(t, second, clientQueue+"/open", "one")
	wantEmpty(t, second, clientQueue+"/close")
	wantEmpty(t, set, clientQueue)
}

func deletes(t *testing.T, addr string) {
	c := memcache.New(addr)
	if err := c.Delete(clientQueue); err != nil {
		t.Fatalf("delete of nothing: got %v, want no error", err)
	}
	if err := c.Set(&memcache.Item{Key: clientQueue, Value: []byte("left")}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(clientQueue); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, c, clientQueue)
}

func flushes(t *testing.T, addr string) {
	c := memcache.New(addr)
	if err := c.Set(&memcache.Item{Key: clientQueue, Value: []byte("left")}); err != nil {
		t.Fatal(err)
	}
	if err := c.FlushAll(); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, c, clientQueue)
	if err := c.Ping(); err != nil {
		t.Fatal(err)
	}
}

func cannotAdd(t *testing.T, addr string) {
	c := memcache.New(addr)
	err := c.Add(&memcache.Item{Key: clientQueue, Value: []byte("x")})
	if err == nil || !strings.Contains(err.Error(), "not supported by a queue") {
		t.Fatalf("add: got %v, want that it is not supported", err)
	}
	wantEmpty(t, c, clientQueue)
}

func wantItem(t *testing.T, c *memcache.Client, key, want string) {
	t.Helper()
	it, err := c.Get(key)
	if err != nil {
		t.Fatalf("get %s: got %v, want %q", key, err, want)
	}
	if string(it.Value) != want {
		t.Fatalf("get %s: got %q, want %q", key, it.Value, want)
	}
}

func wantEmpty(t *testing.T, c *memcache.Client, key string) {
	t.Helper()
	if it, err := c.Get(key); err != memcache.ErrCacheMiss {
		t.Fatalf("get %s: got %v, %v, want nothing", key, it, err)
	}
}
