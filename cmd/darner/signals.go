package main

// The signals of the server.

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals are those that the server has received.
type signals struct {
	ctx     context.Context // until SIGTERM or SIGINT
	release context.CancelFunc
	hangup  chan os.Signal
}

// catchSignals lets the server outlive its terminal (SIGHUP) and the reader of its log (SIGPIPE),
// from now on. The first SIGTERM or SIGINT asks it to stop. A second one ends the process at once:
// that costs what a kill does, which is no item that was stored.
func catchSignals(parent context.Context) signals {
	signal.Ignore(syscall.SIGPIPE)
	s := signals{hangup: make(chan os.Signal, 1)}
	signal.Notify(s.hangup, syscall.SIGHUP)
	s.ctx, s.release = signal.NotifyContext(parent, syscall.SIGTERM, syscall.SIGINT)
	return s
}

// wait returns when the server is to stop: because of a signal, or because a client has asked. At
// SIGHUP it calls reload, which logs what came of it.
func (s signals) wait(asked <-chan struct{}, reload func() error) {
	defer s.release() // the next one ends the process
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-asked:
			return
		case <-s.hangup:
			reload()
		}
	}
}
