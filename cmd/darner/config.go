package main

// darner config: checks a configuration, and shows what is in force and where it is from.

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/server/config"
)

func configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "checks a configuration file, shows what is in force, reads one of Kestrel's",
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "reports everything that is wrong with a file", ArgsUsage: "FILE",
				Action: checkConfig,
			},
			{
				Name: "show", Usage: "shows each setting, of a queue if one is named, and where it is from",
				ArgsUsage: "[QUEUE]", Flags: serveFlags(), Action: showConfig,
			},
			{
				Name: "from-kestrel", Usage: "prints what a Kestrel's settings become, as far as it reads them",
				ArgsUsage: "FILE", Action: configFromKestrel,
			},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("unknown command config %s (see darner config -h)", c.Args().First())
			}
			return usage("what about the configuration? check FILE, show [QUEUE] or from-kestrel FILE")
		},
	}
}

// oneFile is the argument of a command that reads one file.
func oneFile(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", usage("give one FILE (see darner config %s -h)", c.Command.Name)
	}
	return c.Args().First(), nil
}

func checkConfig(c *cli.Context) error {
	file, err := oneFile(c)
	if err != nil {
		return err
	}
	conf, err := config.Read(config.Sources{File: file})
	if err != nil {
		return cmdline.Exit(cmdline.ExitInvalid, allWrong(err))
	}
	settings, tables := conf.Count()
	_, err = fmt.Printf("%s: OK (settings: %d, tables of queues: %d)\n", file, settings, tables)
	return err
}

func showConfig(c *cli.Context) error {
	if c.NArg() > 1 {
		return usage("show takes one queue (see darner config show -h)")
	}
	conf, err := settings(c)
	if err != nil {
		return cmdline.Exit(cmdline.ExitInvalid, err)
	}
	list := conf.Show()
	if c.NArg() == 1 {
		if list, err = conf.ShowQueue(c.Args().First()); err != nil {
			return usage("%w", err)
		}
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, s := range list {
		value := s.Value
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, value, s.From)
	}
	return table.Flush()
}

func configFromKestrel(c *cli.Context) error {
	file, err := oneFile(c)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = io.WriteString(os.Stdout, config.FromKestrel(file, string(text)))
	return err
}
