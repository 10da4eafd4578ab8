package main

// Without a subcommand: the server.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/server"
	"github.com/darner/darner/server/config"
)

// patience is how long clients that do not read are waited for at the end. Syncing comes after
// it: the whole stop takes less than 5 s.
const patience = 3 * time.Second

func serveFlags() []cli.Flag {
	d := config.Default()
	return []cli.Flag{
		&cli.StringFlag{Name: "data", Aliases: []string{"d"}, Value: d.Data, Usage: "`DIRECTORY` of the journals, created when missing"},
		&cli.IntFlag{Name: "port", Aliases: []string{"p"}, Value: d.Port, Usage: "TCP port; 0 takes a free one"},
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "reserved for a configuration `FILE`"},
		&cli.StringFlag{Name: "listen", Value: d.Listen, Usage: "`ADDRESS` to listen on; 0.0.0.0 is all"},
		&cli.StringFlag{Name: "socket", Usage: "`PATH` of a Unix socket to listen on as well"},
		&cli.GenericFlag{Name: "sync", Value: &d.Sync, Usage: "when items reach stable storage: always (before STORED), an interval, or never"},
		&cli.GenericFlag{Name: "segment-size", Value: &d.SegmentSize, Usage: "`SIZE` of a journal segment, 256KiB to 1GiB"},
		&cli.IntFlag{Name: "max-connections", Value: d.MaxConnections, Usage: "clients served at a time"},
		&cli.GenericFlag{Name: "max-item-size", Value: &d.MaxItemSize, Usage: "`SIZE` of the largest item taken"},
		&cli.GenericFlag{Name: "inline-max", Value: &d.InlineMax, Usage: "`SIZE` up to which an item is kept inside a segment, not in a file of its own"},
		&cli.IntFlag{Name: "max-open-reads", Value: d.MaxOpenReads, Usage: "items a connection may have open of one queue"},
		&cli.GenericFlag{Name: "memory-limit", Value: &d.MemoryLimit, Usage: "`SIZE` that the process's own memory should stay below; auto is four fifths of what its control group allows, 0 none"},
		&cli.GenericFlag{Name: "admin-commands", Value: &d.Admin, Usage: "`WHO` may use flush_all and delete: local (peers on this machine), all or off (default: all)"},
		&cli.BoolFlag{Name: "debug", Usage: "log more, as who connects"},
	}
}

func settings(c *cli.Context) config.Config {
	s := config.Default()
	s.Data, s.Listen, s.Port, s.Socket = c.String("data"), c.String("listen"), c.Int("port"), c.String("socket")
	s.Sync = *c.Generic("sync").(*config.Sync)
	s.SegmentSize = *c.Generic("segment-size").(*config.Size)
	s.MaxConnections = c.Int("max-connections")
	s.MaxItemSize = *c.Generic("max-item-size").(*config.Size)
	s.InlineMax = *c.Generic("inline-max").(*config.Size)
	s.MaxOpenReads = c.Int("max-open-reads")
	s.MemoryLimit = *c.Generic("memory-limit").(*config.Memory)
	s.Admin = *c.Generic("admin-commands").(*config.Admin)
	return s
}

func serve(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("unknown command %q (darner -h tells more)", c.Args().First())
	}
	if c.IsSet("config") {
		return errors.New("--config is reserved: this version has no configuration file, use flags")
	}
	level := slog.LevelInfo
	if c.Bool("debug") {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	asked, release := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer release()
	s, err := server.Start(settings(c), log)
	if err != nil {
		return err
	}
	<-asked.Done()
	release() // a second signal ends the process at once
	log.Info("darner is stopping")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.Stop(ctx)
}
