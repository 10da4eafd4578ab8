package main

// How a command ends: its exit code, and on a signal.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/tools/client"
)

// exitCode returns what a client command exits with.
func exitCode(err error) int {
	if code, ok := cmdline.ExitCode(err); ok {
		return code
	}
	switch {
	case errors.Is(err, context.Canceled):
		return cmdline.ExitInterrupted
	case errors.Is(err, client.ErrDamaged):
		return cmdline.ExitDamaged
	case client.IsRefusal(err):
		return cmdline.ExitRefused
	case errors.Is(err, client.ErrNoServer), errors.As(err, new(*net.OpError)):
		return cmdline.ExitNoServer
	}
	return cmdline.ExitHere
}

// usage returns an error about the command line.
func usage(format string, args ...any) error {
	return cmdline.Exit(cmdline.ExitUsage, fmt.Errorf(format, args...))
}

// empty returns the error of a command that found no item.
func empty(queue string) error {
	return cmdline.Exit(cmdline.ExitEmpty, fmt.Errorf("no item in %s", queue))
}

// interruptible returns a context that ends with SIGINT or SIGTERM. A second signal ends the
// process.
func interruptible(parent context.Context) (ctx context.Context, release context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(cmdline.ExitInterrupted)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// say tells the user something on the way.
func say(text string) { fmt.Fprintln(os.Stderr, "darner:", text) }
