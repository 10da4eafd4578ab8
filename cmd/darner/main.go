// Command darner is the queue server, and its client for the command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/server"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "darner:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	a := app()
	return a.Run(cmdline.FlagsFirst(a, args))
}

func app() *cli.App {
	app := &cli.App{
		Name:  "darner",
		Usage: "a durable queue server that speaks the memcache protocol",
		UsageText: "darner [options]                      runs the server\n" +
			"   darner put|get|stats [options] ...    talks to a server\n" +
			"   darner drain [options] FROM-HOST:PORT moves another server's items to this one\n" +
			"   darner bench [options] SUITE...       measures how fast a server is",
		Version:         server.Version,
		HideHelpCommand: true,
		Flags:           serveFlags(),
		Action:          serve,
		OnUsageError:    wrongFlag,
		Commands: []*cli.Command{
			putCommand(), getCommand(), statsCommand(), drainCommand(), benchCommand(),
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = plainError
	}
	return app
}

// interruptible returns a context that ends with a signal. A second signal ends the process.
func interruptible(parent context.Context, signals ...os.Signal) (
	ctx context.Context, release context.CancelFunc,
) {
	ctx, release = signal.NotifyContext(parent, signals...)
	context.AfterFunc(ctx, release)
	return ctx, release
}

// plainError reports a wrong flag like any other error.
func plainError(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w (see darner -h)", err)
}
