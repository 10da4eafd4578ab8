package main

// Without a subcommand: the server.

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/server"
	"github.com/darner/darner/server/config"
)

// patience is how long clients that do not read are waited for at the end. Syncing comes after
// it: the whole stop takes less than 5 s.
const patience = 3 * time.Second

// flagTexts are what the flags are said to be, in the order of the help.
var flagTexts = []struct{ name, short, usage string }{
	{"data", "d", "`DIRECTORY` of the journals, created when missing"},
	{"port", "p", "TCP `PORT`; 0 takes a free one"},
	{"listen", "", "`ADDRESS` to listen on; 0.0.0.0 is all"},
	{"socket", "", "`PATH` of a Unix socket to listen on as well"},
	{"sync", "", "when items reach stable storage: always (before STORED), an interval, or never"},
	{"segment-size", "", "`SIZE` of a journal segment, 256KiB to 1GiB"},
	{"max-connections", "", "clients served at a time"},
	{"tcp-user-timeout", "", "`TIME` that what a client was sent may go unacknowledged before the client is taken for gone; 0: as the system has it"},
	{"tcp-keepalive", "", "`TIME` of silence after which a client's system is asked whether it is there; 0: never"},
	{"max-item-size", "", "`SIZE` of the largest item taken"},
	{"inline-max", "", "`SIZE` up to which an item is kept inside a segment, not in a file of its own"},
	{"max-open-reads", "", "items a connection may have open of one queue"},
	{"admin-commands", "", "`WHO` may use flush_all and delete: local (peers on this machine), all or off (default: all)"},
	{"max-disk", "", "`SIZE` that the data directory may have on disk; 0: no bound"},
	{"queue-max-disk", "", "`SIZE` that each queue may have on disk; 0: no bound"},
	{"min-free", "", "`SIZE` of the file system to be left free; auto: 1/64 of it, 256KiB to 16MiB; 0: none"},
	{"when-full", "", "what happens at those bounds: reject new items, or discard-oldest of the queue"},
	{"compress", "", "how segments not read soon are compressed: zstd, s2 or none"},
	{"compress-level", "", "1 to 19, for zstd"},
	{"parity", "", "0 to 4 blocks for every 16 of a compressed segment, to mend damage"},
	{"scrub-interval", "", "how often compressed segments are verified; 0: never"},
	{"compact-rate", "", "`SIZE` that background rewriting may read and write in a second; 0: no bound"},
	{"memory-limit", "", "`SIZE` that the process's own memory should stay below; auto is four fifths of what its control group allows; 0: none"},
	{"transport", "", "how connections are served: auto (as is best on this system), or portable (a goroutine each)"},
	{"loops", "", "goroutines that share the connections, where one serves many; 0: 1 for up to 4 processors, then a quarter of them"},
}

func serveFlags() []cli.Flag {
	defaults := config.Default()
	var flags []cli.Flag
	for _, x := range flagTexts {
		flag := &cli.GenericFlag{Name: x.name, Usage: x.usage, Value: defaults.Setting(x.name)}
		if x.short != "" {
			flag.Aliases = []string{x.short}
		}
		flags = append(flags, flag)
	}
	return append(flags,
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "configuration `FILE`, in TOML; a flag given has the say over it"},
		&cli.BoolFlag{Name: "debug", Usage: "log more, as who connects"})
}

// settings are those of the file, if there is one, and above them the flags given.
func settings(c *cli.Context) (config.Config, error) {
	s := config.Default()
	if c.IsSet("config") {
		if err := s.Load(c.String("config"), c.IsSet); err != nil {
			return s, err
		}
	}
	for _, x := range flagTexts {
		if c.IsSet(x.name) {
			if err := s.Setting(x.name).Set(c.Generic(x.name).(config.Value).String()); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

func serve(c *cli.Context) error {
	if c.Args().Present() {
		return fmt.Errorf("unknown command %q (darner -h tells more)", c.Args().First())
	}
	conf, err := settings(c)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if c.Bool("debug") {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	asked, release := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer release()
	s, err := server.Start(conf, log)
	if err != nil {
		return err
	}
	spareProcessors()
	<-asked.Done()
	release() // a second signal ends the process at once
	log.Info("darner is stopping")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.Stop(ctx)
}

// spareProcessors lets Go run some goroutines more at a time than there are processors. A thread that waits
// for the disk then costs nobody his turn, and the runtime need not look every 20 µs for what it may take from
// one: with the two that serve and sync that is a quarter of the time of synced sets.
func spareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
}
