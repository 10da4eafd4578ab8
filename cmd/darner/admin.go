package main

// darner status and darner reload: what an administrator asks of a running server.

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/server/status"
	"github.com/darner/darner/tools/client"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show what the server takes from its clients, or set it",
		Description: "up: everything. readonly: no sets, flushes and deletes. quiescent: no gets\n" +
			"either; what is open may still be confirmed. It is kept across restarts.",
		ArgsUsage: "[up|readonly|quiescent]",
		Flags:     []cli.Flag{serverFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usage("one status, not %d", c.NArg())
			}
			to := c.Args().First()
			if _, known := status.Parse(to); to != "" && !known {
				return usage("the status is up, readonly or quiescent, not %q", to)
			}
			return dial(c, func(at *client.Client) error {
				if to != "" {
					return at.SetStatus(to)
				}
				word, err := at.Status()
				if err == nil {
					fmt.Println(word)
				}
				return err
			})
		},
	}
}

func reloadCommand() *cli.Command {
	return &cli.Command{
		Name:  "reload",
		Usage: "have the server take over its configuration file anew",
		Flags: []cli.Flag{serverFlag()},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("reload takes nothing")
			}
			return dial(c, (*client.Client).Reload)
		},
	}
}
