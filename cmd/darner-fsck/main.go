// Command darner-fsck examines and repairs data directories of darner, offline.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/tools/fsck"
)

func main() {
	os.Exit(run(os.Args))
}

// run returns the exit code.
func run(args []string) int {
	files = disk.OS{Owners: new(disk.Owners)}
	code := runCommand(args)
	if !sayOwners(files.Owners) {
		code |= fsck.ExitTrouble
	}
	return code
}

func runCommand(args []string) int {
	app := app()
	err := app.Run(cmdline.FlagsFirst(app, args))
	var status exit
	switch {
	case err == nil:
		return fsck.ExitClean
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintln(os.Stderr, "darner-fsck:", err)
	if errors.As(err, new(usage)) {
		return fsck.ExitUsage
	}
	return fsck.ExitTrouble
}

// exit is an exit code without a message.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usage is a mistake on the command line.
type usage struct{ error }

func app() *cli.App {
	app := &cli.App{
		Name:  "darner-fsck",
		Usage: "examines and repairs queues on disk while no server uses them",
		UsageText: "darner-fsck [--repair [--dry-run]] [--json] DATA\n   darner-fsck space DATA\n" +
			"   darner-fsck dump|export|import|rewind [options] DATA QUEUE",
		Description: "DATA is a data directory or the directory of a single queue. Without\n" +
			"--repair nothing is changed. Exit codes, added up: 0 clean, 1 repaired, 4 damage\n" +
			"left, 8 something could not be examined or done, 16 wrong usage.",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name:  "repair",
				Usage: "mend what can be mended without losing a readable item",
			},
			&cli.BoolFlag{Name: "dry-run", Usage: "with --repair: only say what would be done"},
			&cli.BoolFlag{
				Name:  "json",
				Usage: "write a line of JSON for every finding, step and queue, and the result",
			},
			cmdline.WideFlag(),
		},
		Action:       check,
		OnUsageError: usageError,
		Commands: []*cli.Command{
			spaceCommand(), dumpCommand(), exportCommand(), importCommand(), rewindCommand(),
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = usageError
	}
	return app
}
