// Command edge measures what a server costs a small box: memory, start-up, writes to the disk. It
// starts a darner binary of its own for each figure and prints tables in Markdown.
//
//	edge [flags] memory | clients | queues | start | idle | wear
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// settings are the flags that the measurements share.
var settings struct {
	darner  string        // the binary
	dir     string        // where data directories are made
	items   int           // of a backlog
	size    int           // bytes of an item
	count   int           // connections, or queues
	minutes time.Duration // how long an idle server is watched, and load is put on at a rate
	cold    bool          // drop the page cache first
	mount   string        // options of the file system
	flags   flagList      // of darner
}

// flagList is a flag that may be given again and again.
type flagList []string

func (l *flagList) String() string     { return fmt.Sprint(*l) }
func (l *flagList) Set(s string) error { *l = append(*l, s); return nil }

var measurements = map[string]func() error{
	"memory":  memory,
	"clients": clients,
	"queues":  queues,
	"start":   start,
	"idle":    idle,
	"wear":    wear,
}

func main() {
	s := &settings
	flag.StringVar(&s.darner, "darner", "bin/darner", "`PATH` of the server's binary")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "`DIRECTORY` in which data directories are made, and removed")
	flag.IntVar(&s.items, "items", 10_000_000, "memory, start: items of the backlog")
	flag.IntVar(&s.size, "size", 300, "bytes of an item")
	flag.IntVar(&s.count, "count", 10_000, "clients: connections; queues: queues")
	flag.DurationVar(&s.minutes, "for", time.Minute, "idle, wear: how long the server is watched")
	flag.BoolVar(&s.cold, "cold", false, "queues, start: drop the page cache before a start (as root)")
	flag.StringVar(&s.mount, "mount", "defaults", "wear: `OPTIONS` that the file system is mounted with")
	flag.Var(&s.flags, "flag", "one more `FLAG` for the server, such as --sync=10s; may be repeated")
	flag.Parse()
	measure := measurements[flag.Arg(0)]
	if measure == nil || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: edge [flags] memory | clients | queues | start | idle | wear")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

// inDir runs a measurement in a data directory of its own.
func inDir(fn func(data string) error) error {
	dir, err := os.MkdirTemp(settings.dir, "edge-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return fn(dir)
}

// dropCaches forgets what the kernel has read, if asked for.
func dropCaches() error {
	if !settings.cold {
		return nil
	}
	unixSync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0)
}

// cache names the state of the page cache in a table.
func cache() string {
	if settings.cold {
		return "dropped"
	}
	return "warm"
}
