// Command measure makes the figures of docs/edge.md again: what a server costs a small box in memory,
// start-up and writes to the disk. It starts a darner binary of its own for each figure, with the flags
// that follow the measurement's name, and prints tables in Markdown.
//
//	measure [flags] memory|clients|queues|start|idle|wear [flags of darner]
//	measure lines
//
// lines prints telemetry as small devices send it. The script cold, beside this file, compares what it takes on the disk.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/darner/darner/tools/measure/telemetry"
	"github.com/darner/darner/tools/spawn"
)

var (
	darner  = flag.String("darner", "bin/darner", "`PATH` of the server's binary")
	where   = flag.String("dir", os.TempDir(), "`DIRECTORY` in which data directories are made, and removed")
	items   = flag.Int("items", 10_000_000, "memory, start: items of the backlog; lines: how many")
	size    = flag.Int("size", 300, "bytes of an item")
	count   = flag.Int("count", 10_000, "clients: connections; queues: queues")
	devices = flag.Int("devices", 8, "lines: devices that report in turn")
	watched = flag.Duration("for", time.Minute, "idle, wear: how long the server is watched")
	cold    = flag.Bool("cold", false, "queues, start: drop the page cache before a start (as root)")
	mount   = flag.String("mount", "defaults", "wear: `OPTIONS` that the file system is mounted with")
)

var measurements = map[string]func(){
	"memory": memory, "clients": clients, "queues": queues, "start": start, "idle": idle, "wear": wear, "lines": lines,
}

func main() {
	flag.Parse()
	measure := measurements[flag.Arg(0)]
	if measure == nil {
		fmt.Fprintln(os.Stderr, "usage: measure [flags] memory|clients|queues|start|idle|wear|lines [flags of darner]")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := try(measure); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// failure is what a measurement cannot go on from: it is thrown, so that all that was set up is cleared away.
type failure struct{ error }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// try returns what check threw.
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

// inDir runs a measurement in a data directory of its own.
func inDir(do func(data string)) {
	dir, err := os.MkdirTemp(*where, "measure-*")
	check(err)
	defer os.RemoveAll(dir)
	dir, err = filepath.EvalSymlinks(dir)
	check(err)
	do(dir)
}

// server is a server under measurement, and a connection to it.
type server struct {
	*spawn.Server
	*client
	started time.Time     // of the exec
	ready   time.Duration // from there to the first answer
	work    time.Duration // CPU time until then
}

// limit is how long starting and stopping may take.
const limit = 10 * time.Minute

// launch starts a server and waits for its first answer. Whoever launches kills.
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

// again ends the server by a signal and starts it anew, if asked for with nothing in the page cache.
func (s *server) again(how syscall.Signal, data string) {
	check(s.Stop(how, limit))
	if *cold {
		syscall.Sync()
		check(os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0))
	}
	*s = *launch(data)
}

// megabytes is the server's own memory.
func (s *server) megabytes() float64 { return float64(s.Memory()) / 1e6 }

// cache names the state of the page cache in a table.
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
