package main

// The client subcommands: what they are told on the command line.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/darner/darner/tools/client"
)

func serverFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "server", Aliases: []string{"s"}, Value: client.DefaultAddress,
		EnvVars: []string{"DARNER_SERVER"},
		Usage:   "`HOST[:PORT]` of the server, or the path of its Unix socket",
	}
}

// duration is the value of a flag, whose error says what to give.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

func (d *duration) Set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("give a number with a unit, as in 5s or 500ms")
	}
	*d = duration(v)
	return nil
}

// framings are the flags that say how items are told apart.
var framings = []struct {
	flag, put, get string
	framing        client.Framing
}{
	{"lines", "one item for each line", "write a line feed after each item; always on a terminal",
		client.Lines},
	{"null", "one item up to each NUL", "write a NUL after each item", client.Null},
	{"length-prefixed", "items of any bytes, each after its length in 8 bytes, little-endian",
		"write each item after its length in 8 bytes, little-endian", client.Length},
	{"json", "one item for each line of JSON, as get --json and darner-fsck export write them",
		"write a line of JSON for each item, with its flags", client.JSON},
}

func framingFlags(get bool) (flags []cli.Flag) {
	for _, f := range framings {
		text := f.put
		if get {
			text = f.get
		}
		flags = append(flags, &cli.BoolFlag{Name: f.flag, Usage: text})
	}
	return flags
}

// framing is the one that was chosen.
func framing(c *cli.Context) (client.Framing, error) {
	chosen, framing := []string{}, client.Bare
	for _, f := range framings {
		if c.Bool(f.flag) {
			chosen, framing = append(chosen, "--"+f.flag), f.framing
		}
	}
	if len(chosen) > 1 {
		return framing, usage("choose one of %s", strings.Join(chosen, " and "))
	}
	return framing, nil
}

func putCommand() *cli.Command {
	return &cli.Command{
		Name:  "put",
		Usage: "append files, or standard input, to a queue, one item each",
		Description: "It stops at the first item that cannot be stored, and says which it was: all\n" +
			"before it are stored, and none after it. A file - is standard input.",
		ArgsUsage: "QUEUE [FILE...]",
		Flags:     append([]cli.Flag{serverFlag()}, framingFlags(false)...),
		Action: func(c *cli.Context) error {
			queue, err := queueArg(c)
			if err != nil {
				return err
			}
			f, err := framing(c)
			if err != nil {
				return err
			}
			files := c.Args().Tail()
			if len(files) == 0 {
				files = []string{client.Stdin}
			}
			ctx, release := interruptible(c.Context)
			defer release()
			_, err = client.Put(ctx, address(c), queue, files, f)
			return err
		},
	}
}

func getCommand() *cli.Command {
	flags := []cli.Flag{
		serverFlag(),
		&cli.GenericFlag{
			Name: "wait", Value: new(duration), DefaultText: "0s",
			Usage: "how `LONG` to wait for each item, as in 10s",
		},
		&cli.IntFlag{
			Name: "count", Aliases: []string{"n"}, Value: 1,
			Usage: "how many items to take at most; 0: all",
		},
		&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on until interrupted"},
		&cli.StringFlag{
			Name: "exec",
			Usage: "run a shell `COMMAND` for each item, which reads it from standard input; " +
				"confirm the item if the command succeeds, else put it back and stop",
		},
		&cli.IntFlag{
			Name: "prefetch", DefaultText: "128; with --exec 1",
			Usage: "how many items to have open at a time, 1024 at most",
		},
	}
	return &cli.Command{
		Name:  "get",
		Usage: "take items off a queue and write them to standard output",
		Description: "An item is confirmed after it is written. If anything fails before that,\n" +
			"the item returns to its place. With --follow a broken connection is made again.",
		ArgsUsage: "QUEUE",
		Flags:     append(flags, framingFlags(true)...),
		Action:    get,
	}
}

func get(c *cli.Context) error {
	queue, err := queueArg(c)
	if err != nil {
		return err
	}
	if c.NArg() > 1 {
		return usage("one queue at a time, not %d", c.NArg())
	}
	f, err := framing(c)
	if err != nil {
		return err
	}
	if f == client.Bare && term.IsTerminal(int(os.Stdout.Fd())) {
		f = client.Lines
	}
	o := client.TakeOptions{
		PumpOptions: client.PumpOptions{
			Wait:   time.Duration(*c.Generic("wait").(*duration)),
			Count:  c.Int("count"),
			Follow: c.Bool("follow"),
		},
		Prefetch: c.Int("prefetch"),
		Note:     say,
	}
	if o.Wait < 0 || o.Count < 0 || o.Prefetch < 0 {
		return usage("--wait, --count and --prefetch cannot be negative")
	}
	if o.Follow && c.IsSet("count") {
		return usage("--follow goes on until interrupted: leave out --count")
	}
	if o.Follow {
		o.Count = 0
	}
	var to client.Sink = client.NewOutput(queue, os.Stdout, f)
	if c.IsSet("exec") {
		to = client.Command{Shell: c.String("exec")}
		if o.Prefetch == 0 {
			o.Prefetch = 1
		}
	}
	// A write says that the pipe is closed, and then what was not written goes back. Commands of
	// --exec would inherit it if the signal was ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, release := interruptible(c.Context)
	defer release()
	n, err := client.Take(ctx, address(c), queue, to, o)
	if commandInterrupted(ctx, err) {
		err = fmt.Errorf("%w: %w", context.Canceled, err)
	}
	if err == nil && n == 0 && o.Count != 0 {
		err = empty(queue)
	}
	return err
}

// commandInterrupted reports whether err is that of a command of --exec that failed because of an
// interrupt. A terminal sends SIGINT to the command too, which may end before ours is here.
func commandInterrupted(ctx context.Context, err error) bool {
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return false
	}
	status, ok := failed.Sys().(syscall.WaitStatus)
	return ctx.Err() != nil || ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

func peekCommand() *cli.Command {
	return &cli.Command{
		Name:      "peek",
		Usage:     "write the next item of a queue to standard output, and leave it there",
		ArgsUsage: "QUEUE",
		Flags:     append([]cli.Flag{serverFlag()}, infoFlags()...),
		Action: func(c *cli.Context) error {
			if c.Bool("info") || c.Bool("json") {
				return peekInfo(c)
			}
			return withQueue(c, func(from *client.Client, queue string) error {
				n, err := from.Peek(queue, os.Stdout)
				if err == nil && n == 0 {
					err = empty(queue)
				}
				return err
			})
		},
	}
}

func flushCommand() *cli.Command {
	return &cli.Command{
		Name:      "flush",
		Usage:     "remove all items of a queue",
		ArgsUsage: "QUEUE",
		Flags:     []cli.Flag{serverFlag()},
		Action:    func(c *cli.Context) error { return withQueue(c, (*client.Client).Flush) },
	}
}

func deleteCommand() *cli.Command {
	return &cli.Command{
		Name:      "delete",
		Usage:     "remove a queue and all its items",
		ArgsUsage: "QUEUE",
		Flags:     []cli.Flag{serverFlag()},
		Action:    func(c *cli.Context) error { return withQueue(c, (*client.Client).Delete) },
	}
}

// queueArg is the first argument.
func queueArg(c *cli.Context) (string, error) {
	if !c.Args().Present() {
		return "", usage("which queue? (see darner %s -h)", c.Command.Name)
	}
	if err := client.CheckName(c.Args().First()); err != nil {
		return "", usage("%w", err)
	}
	return c.Args().First(), nil
}

// withQueue connects for a command whose only argument is a queue.
func withQueue(c *cli.Context, do func(*client.Client, string) error) error {
	queue, err := queueArg(c)
	if err != nil {
		return err
	}
	if c.NArg() > 1 {
		return usage("one queue at a time, not %d", c.NArg())
	}
	return dial(c, func(to *client.Client) error { return do(to, queue) })
}

func dial(c *cli.Context, do func(*client.Client) error) error {
	ctx, release := interruptible(c.Context)
	defer release()
	to, err := client.Dial(ctx, address(c))
	if err != nil {
		return err
	}
	defer to.Close()
	defer context.AfterFunc(ctx, func() { to.Close() })()
	err = do(to)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func address(c *cli.Context) string { return client.Address(c.String("server")) }
