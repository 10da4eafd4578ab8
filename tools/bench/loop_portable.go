package bench

// The loop for systems without epoll: two goroutines for each connection. They need about as much
// CPU time as the server under test, so that figures are lower.

import (
	"context"
	"io"
	"math"
	"net"
	"sync"
	"time"
)

var past = time.Unix(1, 0)

// portableLoop drives some sessions.
type portableLoop struct {
	*meter
	mu    sync.Mutex // guards all sessions, which share the meter
	peers []*peer
	began time.Time
}

// peer is a session and its connection.
type peer struct {
	*session
	conn net.Conn
	wake chan struct{} // receives when there may be something to write
}

func (l *portableLoop) connect(ctx context.Context, i int) error {
	conn, err := l.dial(ctx)
	if err == nil {
		l.peers = append(l.peers, &peer{l.session(i), conn, make(chan struct{}, 1)})
	}
	return err
}

func (l *portableLoop) close() {
	var conns []net.Conn
	for _, p := range l.peers {
		conns = append(conns, p.conn)
	}
	hangUp(conns)
}

func (l *portableLoop) run(ctx context.Context, began time.Time) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		for _, p := range l.peers {
			p.conn.SetDeadline(past)
		}
	})()
	l.began = began
	var running sync.WaitGroup
	for _, p := range l.peers {
		for _, work := range []func(context.Context, *peer) error{l.read, l.write} {
			running.Go(func() {
				if err := work(ctx, p); err != nil {
					cancel(err)
				}
			})
		}
	}
	running.Wait()
	return context.Cause(ctx)
}

func (l *portableLoop) now() int64 { return int64(time.Since(l.began)) }

// write sends requests until the session is finished. Then it ends the session's read.
func (l *portableLoop) write(ctx context.Context, p *peer) error {
	defer p.conn.SetReadDeadline(past)
	for {
		l.mu.Lock()
		p.ask(l.now())
		b, finished, next := p.pending(), p.finished(), p.next()
		l.mu.Unlock()
		switch {
		case finished:
			return nil
		case len(b) == 0:
			if err := l.wait(ctx, p, next); err != nil {
				return err
			}
			continue
		}
		n, err := p.conn.Write(b)
		if err != nil {
			return err
		}
		l.mu.Lock()
		p.wrote(n)
		l.mu.Unlock()
	}
}

// wait returns when an answer has come, or when the next request is due at time next. It returns at
// once if that time has passed, as there may be no answer to come.
func (l *portableLoop) wait(ctx context.Context, p *peer, next int64) error {
	timer := time.NewTimer(time.Duration(next - l.now()))
	defer timer.Stop()
	select {
	case <-p.wake:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// next returns when a request is due even if no answer comes, in ns since the start of the load.
func (s *session) next() int64 {
	if s.gap == 0 || s.ended || s.unanswered == s.depth {
		return math.MaxInt64
	}
	return s.due
}

// over reports whether there is nothing more to read.
func (l *portableLoop) over(ctx context.Context, p *peer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ctx.Err() != nil || p.finished()
}

func (l *portableLoop) read(ctx context.Context, p *peer) error {
	in := make([]byte, 64<<10)
	for {
		p.conn.SetReadDeadline(time.Now().Add(answerTimeout + 2*time.Duration(l.gap)))
		if l.over(ctx, p) { // if not yet, write sets a deadline that ends the read
			return nil
		}
		n, err := p.conn.Read(in)
		if err != nil && l.over(ctx, p) {
			return nil
		}
		if err == io.EOF {
			return p.hungUp()
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		err = p.receive(in[:n], l.now())
		l.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}
