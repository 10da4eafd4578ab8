package bench

// A server that is measured: what it is, whether the queue is free, and cleaning up.

import (
	"context"
	"fmt"
	"strings"
)

// target is a server and what it said of itself.
type target struct {
	name    string // of the product; with the address, when two are the same
	address string
	dialect dialect
	about
}

// about is what a server says of itself and of a queue.
type about struct {
	product string
	version string
	pid     int
	cache   bool  // its "queue" is a key that keeps its value
	items   int64 // in the queue, at least those that can be fetched
}

var dialects = map[string]dialect{"memcache": memcache{}, "redis": redis{}, "beanstalkd": beanstalkd{}}

// newTarget reads an address like redis://HOST:PORT; without a protocol it is memcache.
func newTarget(address string) (*target, error) {
	protocol, rest, ok := strings.Cut(address, "://")
	if !ok {
		protocol, rest = "memcache", address
	}
	d := dialects[protocol]
	if d == nil {
		return nil, fmt.Errorf("%s: %q is none of the protocols memcache, redis and beanstalkd", address, protocol)
	}
	return &target{address: rest, dialect: d}, nil
}

// look asks the server what it is, and what is in the queue.
func (t *target) look(ctx context.Context, queue string) (about, error) {
	c, err := t.talk(ctx)
	if err != nil {
		return about{}, err
	}
	defer c.Close()
	a, err := t.dialect.look(c, queue)
	if err != nil {
		err = fmt.Errorf("%s: %w", t.address, err)
	}
	return a, err
}

// remove deletes the queue with all that is in it.
func (t *target) remove(ctx context.Context, queue string) error {
	if t.product == "beanstalkd" { // tubes cannot be deleted; an empty one that nobody uses is gone
		l := load{address: t.address, dialect: t.dialect, queue: queue, mix: drain, items: newItems(nil, 0), conns: 4, depth: 32, loop: newLoop}
		_, err := l.run(ctx)
		return err
	}
	c, err := t.talk(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return t.dialect.remove(c, queue)
}
