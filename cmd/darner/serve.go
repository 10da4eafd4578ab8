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

// drainTimeout is how long a stop waits for clients that do not read. Syncing comes after that: the
// whole stop takes less than 5 s.
const drainTimeout = 3 * time.Second

// flagTexts describe the flags, in the order of the help.
var flagTexts = []struct{ name, short, usage string }{
	{"data", "d", "`DIRECTORY` of the journals, created if missing"},
	{"port", "p", "TCP `PORT`; 0 takes a free one"},
	{"listen", "", "`ADDRESS` to listen on; 0.0.0.0 is all"},
	{"socket", "", "`PATH` of a Unix socket to listen on as well"},
	{"sync", "", "when items reach stable storage: always (before STORED), an interval, or never"},
	{"segment-size", "", "`SIZE` of a journal segment, 256KiB to 1GiB"},
	{"max-connections", "", "how many clients are served at a time"},
	{"tcp-user-timeout", "", "`TIME` without acknowledgement after which a client counts as " +
		"gone; 0: up to the system"},
	{"tcp-keepalive", "", "`TIME` of silence after which a client's system is probed; 0: never"},
	{"max-item-size", "", "`SIZE` of the largest item that is accepted"},
	{"inline-max", "", "`SIZE` of the largest item that is kept inside a segment, not in a file " +
		"of its own"},
	{"max-open-reads", "", "how many items of one queue a connection may have open"},
	{"admin-commands", "", "`WHO` may use flush_all and delete: local (clients on this machine), " +
		"all or off (default: all)"},
	{"max-disk", "", "`SIZE` that the data directory may take on disk; 0: no bound"},
	{"queue-max-disk", "", "`SIZE` that each queue may take on disk; 0: no bound"},
	{"min-free", "", "`SIZE` of the file system to leave free; auto: 1/64 of it, 256KiB to " +
		"16MiB; 0: none"},
	{"when-full", "", "what happens at these bounds: reject new items, or discard-oldest of the " +
		"queue"},
	{"compress", "", "how segments not read soon are compressed: zstd, s2 or none"},
	{"compress-level", "", "1 to 19, for zstd"},
	{"parity", "", "0 to 4 blocks for every 16 of a compressed segment, to repair damage"},
	{"scrub-interval", "", "how often compressed segments are verified; 0: never"},
	{"compact-rate", "", "`SIZE` that the background may read and write a second to rewrite " +
		"segments; 0: no bound"},
	{"memory-limit", "", "`SIZE` that the process's own memory should stay below; " +
		"auto: four fifths of what its control group allows; 0: none"},
	{"transport", "", "how connections are served: auto (the best on this system) or " +
		"portable (a goroutine each)"},
	{"loops", "", "how many goroutines share the connections, where one serves many; " +
		"0: 1 for up to 4 processors, then a quarter of them"},
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
		&cli.StringFlag{
			Name: "config", Aliases: []string{"c"},
			Usage: "configuration `FILE`, in TOML; flags override it",
		},
		&cli.BoolFlag{Name: "debug", Usage: "log more, such as who connects"})
}

// settings are the defaults, overridden by the file, if there is one, and that by the flags.
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
		return fmt.Errorf("unknown command %q (see darner -h)", c.Args().First())
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
	running, release := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer release()
	s, err := server.Start(conf, log)
	if err != nil {
		return err
	}
	spareProcessors()
	<-running.Done()
	release() // a second signal ends the process at once
	log.Info("darner is stopping")
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return s.Stop(ctx)
}

// spareProcessors lets Go run a few more goroutines at a time than there are processors. A thread
// that waits for the disk then delays no other goroutine, and the runtime need not look every 20 µs
// for a processor to take away. With one goroutine that serves and one that syncs, that looking
// takes a quarter of the time of synced sets.
func spareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
}
