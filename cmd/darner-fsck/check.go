package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/tools/fsck"
)

func check(c *cli.Context) error {
	path, err := dataArgument(c)
	if err != nil {
		return err
	}
	o := fsck.Options{FS: files, Repair: c.Bool("repair"), DryRun: c.Bool("dry-run")}
	if o.DryRun && !o.Repair {
		return usage{errors.New("--dry-run needs --repair")}
	}
	bar := newBar(os.Stderr)
	out := bufio.NewWriter(os.Stdout)
	o.Progress = bar.progress()
	w := bar.aside(out)
	var finish func(fsck.Result) error
	if c.Bool("json") {
		fsck.JSON(w, &o)
		finish = func(r fsck.Result) error { return fsck.CloseJSON(w, r) }
	} else {
		finish = fsck.NewReport(w, &o, func(w io.Writer, rows [][]string) error {
			width := cmdline.Width(c)
			return cmdline.WriteTable(w, cmdline.FitColumns(rows, width), width)
		}).Close
	}
	res, err := fsck.Run(path, o)
	bar.clear()
	if err != nil {
		return errors.Join(err, out.Flush())
	}
	return written(errors.Join(finish(res), out.Flush()), res)
}

// written is the result, unless the report could not be written.
func written(err error, res fsck.Result) error {
	if err == nil {
		return status(res)
	}
	fmt.Fprintln(os.Stderr, "darner-fsck: the report could not be written:", firstLine(err))
	return exit(res.Exit() | fsck.ExitTrouble)
}

// firstLine is one of the errors joined in err.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// status is the result as an exit code.
func status(res fsck.Result) error {
	if code := res.Exit(); code != fsck.ExitClean {
		return exit(code)
	}
	return nil
}

// dataArgument is the only argument of a command.
func dataArgument(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", usage{errors.New("give one data directory (see darner-fsck -h)")}
	}
	return c.Args().First(), nil
}

func spaceCommand() *cli.Command {
	return &cli.Command{
		Name:      "space",
		Usage:     "draws what takes the disk: what of each segment is live, dead, free",
		ArgsUsage: "DATA",
		Flags:     []cli.Flag{cmdline.WideFlag()},
		Action: func(c *cli.Context) error {
			path, err := dataArgument(c)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(os.Stdout)
			o := fsck.Options{FS: files}
			var cut func(string, int) string
			if cmdline.Width(c) > 0 {
				cut = cmdline.CutMiddle
			}
			fsck.Space(out, &o, cut)
			res, err := fsck.Run(path, o)
			if err != nil {
				return errors.Join(err, out.Flush())
			}
			res.Left = 0 // damage is not what was asked for
			return written(out.Flush(), res)
		},
	}
}
