package bench

// A server under test: what it is, whether the queue is empty, and how to delete the queue.

import (
	"context"
	"fmt"
	"strings"
)

// target is a server and what it says about itself.
type target struct {
	name    string // of the product; with the address, if two servers are of one product
	address string
	dialect dialect
	info
}

// info is what a server says about itself and a queue.
type info struct {
	product string
	version string
	pid     int
	cache   bool  // the "queue" is a key that keeps its value
	items   int64 // in the queue; a server may count only those that can be fetched
}

var dialects = map[string]dialect{"memcache": memcache{}, "redis": redis{},
	"beanstalkd": beanstalkd{}}

// newTarget reads an address like redis://HOST:PORT. The default protocol is memcache.
func newTarget(address string) (*target, error) {
	protocol, rest, ok := strings.Cut(address, "://")
	if !ok {
		protocol, rest = "memcache", address
	}
	d := dialects[protocol]
	if d == nil {
		return nil, fmt.Errorf("%s: %q is none of the protocols memcache, redis and beanstalkd",
			address, protocol)
	}
	return &target{address: rest, dialect: d}, nil
}

// ask asks the server what it is, and what the queue holds.
func (t *target) ask(ctx context.Context, queue string) (info, error) {
	c, err := t.control(ctx)
	if err != nil {
		return info{}, err
	}
	defer c.Close()
	a, err := t.dialect.info(c, queue)
	if err != nil {
		err = fmt.Errorf("%s: %w", t.address, err)
	}
	return a, err
}

// remove deletes the queue.
func (t *target) remove(ctx context.Context, queue string) error {
	if t.product == "beanstalkd" { // it deletes a tube that is empty and not in use
		l := load{address: t.address, dialect: t.dialect, queue: queue, mix: drain,
			items: newItems(nil, 0), conns: 4, depth: 32, loop: newLoop}
		_, err := l.run(ctx)
		return err
	}
	c, err := t.control(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return t.dialect.remove(c, queue)
}
