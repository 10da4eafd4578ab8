package main

// Time: how long a start takes with a backlog, and what an idle server does.

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// start shows that start-up time does not depend on the length of the backlog.
func start() {
	inDir(func(data string) {
		s := launch(data)
		defer func() { s.Kill() }()
		s.fill("q", *items, *size)
		files, _ := os.ReadDir(data + "/q")
		fmt.Printf("%d items of %d bytes in %d files, page cache %s\n\n", *items, *size,
			len(files), cache())
		fmt.Print("| after | exec to first answer | its CPU time | to first item ",
			"| to first stored | RssAnon |\n|---|---:|---:|---:|---:|---:|\n")
		for _, end := range []struct {
			name string
			how  syscall.Signal
		}{{"kill -9", syscall.SIGKILL}, {"a clean stop", syscall.SIGTERM},
			{"kill -9 while idle", syscall.SIGKILL}} {
			s.restart(end.how, data)
			s.drain("q", 1, *size)
			got := time.Since(s.started)
			s.fill("q", 1, *size)
			fmt.Printf("| %s | %d ms | %d ms | %d ms | %d ms | %.1f MB |\n", end.name,
				s.ready.Milliseconds(), s.work.Milliseconds(), got.Milliseconds(),
				time.Since(s.started).Milliseconds(), s.megabytes())
		}
	})
}

// idle shows how often a server without work wakes up, and what it writes.
func idle() {
	fmt.Printf("| over %v | went to sleep | write calls | bytes written | CPU |\n"+
		"|---|---:|---:|---:|---:|\n", *watched)
	busy := func(s *server) {
		s.fill("q", 10_000, *size)
		s.drain("q", 10_000, *size)
	}
	for _, k := range []struct {
		what string
		talk func(*server)
		rest time.Duration
	}{
		{"never used", func(*server) {}, releaseTime},
		{"a second after 10,000 sets and gets, queue not parked yet", busy, time.Second},
		{"after 10,000 sets and gets, queue parked", busy, parkTime},
		{"likewise, and a get waits", func(s *server) { busy(s); s.send("get q/t=3600000\r\n") },
			parkTime},
	} {
		inDir(func(data string) {
			s := launch(data)
			defer s.Kill()
			k.talk(s)
			time.Sleep(k.rest)
			sleeps, calls := s.Sleeps(), s.Figure("io", "syscw")
			bytes, cpu := s.Written(), s.CPU()
			time.Sleep(*watched)
			fmt.Printf("| %s | %d | %d | %d | %d ms |\n", k.what, s.Sleeps()-sleeps,
				s.Figure("io", "syscw")-calls, s.Written()-bytes, (s.CPU() - cpu).Milliseconds())
		})
	}
}
