// Command measure makes the figures of docs/edge.md: what a server costs a small box in memory,
// start-up time and writes to the disk. For each figure it starts a darner binary of its own, with
// the flags that follow the measurement's name. It prints tables in Markdown.
//
//	measure [flags] memory|clients|queues|roam|start|idle|wear|rules [flags of darner]
//	measure [flags] lines
//
// lines prints telemetry as small devices send it. The script cold, beside this file, compares what
// different servers need on the disk for it.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/darner/darner/tools/measure/telemetry"
	"github.com/darner/darner/tools/spawn"
)

var (
	darner = flag.String("darner", "bin/darner", "`PATH` of the server's binary")
	where  = flag.String("dir", os.TempDir(),
		"`DIRECTORY` for the data directories, which are removed again")
	items = flag.Int("items", 10_000_000,
		"memory, start: items in the backlog; rules: items that expire; lines: number of lines")
	size        = flag.Int("size", 300, "bytes in an item")
	count       = flag.Int("count", 10_000, "clients: number of connections; queues, roam: number of queues")
	connections = flag.Int("connections", 100,
		"roam: number of connections; 0: as many as queues")
	devices = flag.Int("devices", 8, "lines: number of devices that report in turn")
	watched = flag.Duration("for", time.Minute, "idle, wear: how long to watch the server")
	cold    = flag.Bool("cold", false,
		"queues, start: drop the page cache before each start (needs root)")
	mount = flag.String("mount", "defaults", "wear: mount `OPTIONS` of the file system")
)

var measurements = map[string]func(){
	"memory": memory, "clients": clients, "queues": queues, "roam": roam, "start": start, "idle": idle,
	"wear": wear, "lines": lines, "rules": rules,
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: measure [flags] MEASUREMENT [flags of darner]")
		names := slices.Sorted(maps.Keys(measurements))
		fmt.Fprintln(os.Stderr, "measurements:", strings.Join(names, ", "))
		flag.PrintDefaults()
	}
	flag.Parse()
	measure := measurements[flag.Arg(0)]
	if measure == nil {
		flag.Usage()
		os.Exit(2)
	}
	if err := try(measure); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// failure ends a measurement. It is thrown as a panic, so that deferred calls clean up.
type failure struct{ error }

// check throws err, if there is one.
func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// try calls do and returns what check threw.
func try(do func()) (err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case failure:
			err = thrown.error
		default:
			panic(thrown)
		}
	}()
	do()
	return nil
}

// inDir calls do with an empty data directory, which it removes afterwards.
func inDir(do func(data string)) {
	dir, err := os.MkdirTemp(*where, "measure-*")
	check(err)
	defer os.RemoveAll(dir)
	dir, err = filepath.EvalSymlinks(dir)
	check(err)
	do(dir)
}

// server is a server process under measurement and a connection to it.
type server struct {
	*spawn.Server
	*client
	started time.Time     // time of the exec
	ready   time.Duration // from the exec to the first answer
	work    time.Duration // CPU time used until the first answer
}

// limit bounds starting and stopping.
const limit = 10 * time.Minute

// launch starts a server and waits for its first answer. The caller kills it.
func launch(data string, flags ...string) *server {
	s := &server{started: time.Now()}
	var err error
	s.Server, err = spawn.Start(spawn.Command(*darner, data, append(flag.Args()[1:], flags...)...))
	check(err)
	if err = s.Ready(limit); err == nil {
		err = try(func() {
			s.client = dial(s.Addr)
			s.send("version\r\n")
			_, err := s.r.ReadString('\n')
			check(err)
		})
	}
	s.ready, s.work = time.Since(s.started), s.CPU()
	if err != nil {
		s.Kill()
	}
	check(err)
	return s
}

// restart ends the server with a signal and starts it again. With -cold it drops the page cache in
// between.
func (s *server) restart(how syscall.Signal, data string) {
	check(s.Stop(how, limit))
	if *cold {
		syscall.Sync()
		check(os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0))
	}
	*s = *launch(data)
}

// megabytes returns the server's anonymous memory in MB.
func (s *server) megabytes() float64 { return float64(s.Memory()) / 1e6 }

// cache names the state of the page cache for a table.
func cache() string {
	if *cold {
		return "dropped"
	}
	return "warm"
}

func lines() {
	out := bufio.NewWriter(os.Stdout)
	n := 0
	for line := range telemetry.Lines(1, *devices) {
		if n++; n > *items {
			break
		}
		_, err := fmt.Fprintf(out, "%s\n", line)
		check(err)
	}
	check(out.Flush())
}
