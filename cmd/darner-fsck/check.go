package main

import (
	"bufio"
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/tools/fsck"
)

func check(c *cli.Context) error {
	path, err := dataArgument(c)
	if err != nil {
		return err
	}
	o := fsck.Options{Repair: c.Bool("repair"), DryRun: c.Bool("dry-run")}
	if o.DryRun && !o.Repair {
		return usage{errors.New("--dry-run belongs to --repair")}
	}
	bar := newBar(os.Stderr)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	o.Progress = bar.progress()
	w := bar.aside(out)
	var finish func(fsck.Result) error
	if c.Bool("json") {
		fsck.JSON(w, &o)
		finish = func(r fsck.Result) error { return fsck.CloseJSON(w, r) }
	} else {
		finish = fsck.NewReport(w, &o).Close
	}
	res, err := fsck.Run(path, o)
	bar.clear()
	if err != nil {
		return err
	}
	if err := finish(res); err != nil {
		return err
	}
	return status(res)
}

// status is the result as an exit code.
func status(res fsck.Result) error {
	if code := res.Exit(); code != fsck.ExitClean {
		return exit(code)
	}
	return nil
}

// dataArgument is the one argument that a command takes.
func dataArgument(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", usage{errors.New("one data directory is wanted (darner-fsck -h tells more)")}
	}
	return c.Args().First(), nil
}

func spaceCommand() *cli.Command {
	return &cli.Command{
		Name:      "space",
		Usage:     "draws where the disk went: what of each segment is live, dead, free",
		ArgsUsage: "DATA",
		Action: func(c *cli.Context) error {
			path, err := dataArgument(c)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(os.Stdout)
			defer out.Flush()
			var o fsck.Options
			fsck.Space(out, &o)
			res, err := fsck.Run(path, o)
			if err != nil {
				return err
			}
			res.Left = 0 // not what was asked
			return status(res)
		},
	}
}
