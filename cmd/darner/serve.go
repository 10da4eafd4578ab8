package main

// Without a subcommand: the server.

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/server"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/logs"
	"github.com/darner/darner/wal/clock"
)

// drainTimeout is how long a stop waits for clients that do not read. Syncing comes after that: the
// whole stop takes less than 5 s.
const drainTimeout = 3 * time.Second

// flagTexts describe the settings' flags, in the order of the help.
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
	{"max-open-ahead", "", "how many items in all, when it opens one with /open/ahead; 0: none"},
	{"admin-commands", "", "`WHO` may use flush, flush_all, delete (default: all), shutdown, reload " +
		"and status STATE (default: local): local (clients on this machine), all or off"},
	{"dialect", "", "`SERVER` whose clients are to work unchanged: memcached, kestrel, darner or " +
		"siberite; presets the six settings below"},
	{"flush-all-answer", "", "to flush_all: ok, or flushed for \"Flushed all queues.\""},
	{"reported-version", "", "`VERSION` that clients are told, instead of the server's"},
	{"stats-format", "", "of stats: full, server without the queues' lines, or darner for the " +
		"original's few"},
	{"relative-exptime-max", "", "longest exptime in `SECONDS` that counts from now; a larger one " +
		"is a Unix time"},
	{"close", "", "what /close and /abort act on: an item of the queue that they name, or " +
		"whatever the connection has open"},
	{"echo-key", "", "key in an answer: the queue's name, or the key as asked, options included"},
	{"max-disk", "", "`SIZE` that the data directory may take on disk; 0: no bound"},
	{"queue-max-disk", "", "`SIZE` that each queue may take on disk; 0: no bound"},
	{"min-free", "", "`SIZE` of the file system to leave free; auto: 1/64 of it, 256KiB to " +
		"16MiB; 0: none"},
	{"when-full", "", "what happens at these bounds: reject new items, or discard-oldest of the " +
		"queue"},
	{"compress", "", "how segments not read soon are compressed: zstd, s2 or none"},
	{"compress-level", "", "1 to 19, for zstd"},
	{"parity", "", "0 to 4 blocks for every 16 of a compressed segment, to repair damage"},
	{"scrub-interval", "", "how often compressed segments and large items are verified, 1m or more; 0: never"},
	{"compact-rate", "", "`SIZE` that the background may read and write a second to rewrite " +
		"segments; 0: no bound"},
	{"memory-limit", "", "`SIZE` that the process's own memory should stay below; " +
		"auto: four fifths of what its control group allows; 0: none"},
	{"transport", "", "how connections are served: auto (the best on this system) or " +
		"portable (a goroutine each)"},
	{"loops", "", "how many goroutines share the connections, where one serves many; " +
		"0: 1 for up to 4 processors, then a quarter of them"},
	{"debug", "", "log more, such as who connects"},
}

// flagText is the value of a flag, as it was written. package config judges it with all others.
type flagText string

func (f *flagText) Set(text string) error { *f = flagText(text); return nil }

func (f *flagText) String() string { return string(*f) }

// Get is for package cli.
func (f *flagText) Get() any { return string(*f) }

func serveFlags() []cli.Flag {
	defaults := config.Default()
	var flags []cli.Flag
	for _, x := range flagTexts {
		if x.name == "debug" {
			flags = append(flags, &cli.BoolFlag{Name: x.name, Usage: x.usage})
			continue
		}
		text := flagText(defaults.Setting(x.name).String())
		flag := &cli.GenericFlag{Name: x.name, Usage: x.usage, Value: &text}
		if x.short != "" {
			flag.Aliases = []string{x.short}
		}
		flags = append(flags, flag)
	}
	return append(flags, &cli.StringFlag{
		Name: "config", Aliases: []string{"c"},
		Usage: "configuration `FILE`, in TOML; the environment and flags override it",
	})
}

// settings are those in force: of the flags, the environment, the file and the defaults.
func settings(c *cli.Context) (config.Config, error) {
	flags := make(map[string]string)
	for _, x := range flagTexts {
		if c.IsSet(x.name) {
			flags[x.name] = fmt.Sprint(c.Value(x.name))
		}
	}
	file := c.String("config")
	if !c.IsSet("config") {
		file = os.Getenv(config.Variable("config"))
	}
	s, err := config.Read(config.Sources{File: file, Environ: os.Environ(), Flags: flags})
	return s, allWrong(err)
}

// allWrong is an error of config.Read for people.
func allWrong(err error) error {
	if err == nil {
		return nil
	}
	all := config.Lines(err)
	if len(all) == 1 {
		return err
	}
	return fmt.Errorf("%d errors in the configuration:\n  %s", len(all), strings.Join(all, "\n  "))
}

func serve(c *cli.Context) error {
	if c.Args().Present() {
		return usage("unknown command %q (see darner -h)", c.Args().First())
	}
	conf, err := settings(c)
	if err != nil {
		return usage("%w", err)
	}
	var level slog.LevelVar
	level.Set(server.Level(conf))
	writer := logs.NewWriter(os.Stderr, clock.System)
	defer writer.Close()
	lines := logs.NewRepeats(
		slog.NewTextHandler(writer, &slog.HandlerOptions{Level: &level}), clock.System)
	defer lines.Flush()
	log := slog.New(lines)
	warnOfVariables(log)
	signals := catchSignals(c.Context)
	s, err := server.Start(conf, log)
	if err != nil {
		return err
	}
	s.SetLevel(&level)
	spareProcessors()
	signals.wait(s.ShutdownAsked(), s.Reload)
	log.Info("darner is stopping")
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return s.Stop(ctx)
}

// wrongFlag suggests the flag that was meant.
func wrongFlag(c *cli.Context, err error, sub bool) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		known := []string{"config"}
		for _, x := range flagTexts {
			known = append(known, x.name)
		}
		if near := config.Nearest(name, known); near != "" {
			err = fmt.Errorf("there is no flag --%s; did you mean --%s?", name, near)
		}
	}
	return plainError(c, err, sub)
}

// warnOfVariables names environment variables that look like settings and are none. They are no
// error: whoever made them may have meant another program.
func warnOfVariables(log *slog.Logger) {
	unknown := config.UnknownVariables(os.Environ(), "CONFIG", "SERVER")
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		line := log.With("variable", name)
		if near := unknown[name]; near != "" {
			line = line.With("nearest", near)
		}
		line.Warn("no setting has this environment variable; it is ignored")
	}
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
