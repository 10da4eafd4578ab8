// Command darner is the queue server, and its client for the command line.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/server"
)

func main() {
	if err := run(os.Args); err != nil {
		if err != context.Canceled { // there is more to say
			text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")
			fmt.Fprintln(os.Stderr, "darner:", text)
		}
		os.Exit(exitCode(err))
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
			"   darner put|get|peek QUEUE ...         moves items in and out, or shows the next\n" +
			"   darner ls|stats|flush|delete ...      shows queues, and empties or removes one\n" +
			"   darner drain [options] FROM-HOST:PORT moves another server's items to this one\n" +
			"   darner requeue [options] QUEUE        puts dead letters back where they came from\n" +
			"   darner status|reload ...              shows and sets what the server takes; its file\n" +
			"   darner bench [options] SUITE...       measures how fast a server is\n" +
			"   darner config check|show|...          checks and shows the configuration",
		Version:         server.Version,
		HideHelpCommand: true,
		Flags:           serveFlags(),
		Action: func(c *cli.Context) error {
			return cmdline.Exit(cmdline.ExitServer, serve(c))
		},
		OnUsageError: wrongFlag,
		Commands: []*cli.Command{
			putCommand(), getCommand(), peekCommand(), lsCommand(), statsCommand(),
			flushCommand(), deleteCommand(), drainCommand(), requeueCommand(), statusCommand(),
			reloadCommand(), benchCommand(), configCommand(),
		},
	}
	prepare(app.Commands)
	return app
}

// prepare has commands report wrong flags as all errors are.
func prepare(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = plainError
		c.HideHelpCommand = true // a queue may be named help
		prepare(c.Subcommands)
	}
}

// plainError reports a wrong flag like any other error.
func plainError(_ *cli.Context, err error, _ bool) error {
	return usage("%w (see darner -h)", err)
}
