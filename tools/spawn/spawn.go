// Package spawn builds the server's binary and runs it as a process, for tests and measurements
// that start, stop and kill one.
package spawn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// Build builds the server without cgo, as it is released, and returns the path of its binary in
// dir.
func Build(dir string) (string, error) { return build(filepath.Join(dir, "darner"), "CGO_ENABLED=0") }

// BuildRacing is Build with the race detector, which needs cgo and a C compiler.
func BuildRacing(dir string) (string, error) {
	return build(filepath.Join(dir, "darner-race"), "CGO_ENABLED=1", "-race")
}

func build(binary, env string, flags ...string) (string, error) {
	build := exec.Command("go", append(append([]string{"build", "-o", binary}, flags...),
		"github.com/darner/darner/cmd/darner")...)
	build.Env = append(os.Environ(), env)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// Server is a server process.
type Server struct {
	Cmd  *exec.Cmd
	Addr string        // where it listens; set when Ready has returned
	Log  *Log          // what it writes to standard error
	Gone chan struct{} // closed when the process has ended
	Err  error         // how it ended, once Gone is closed
}

// Command returns the command that starts a server on a data directory and a free port.
func Command(program, data string, flags ...string) *exec.Cmd {
	return exec.Command(program, append([]string{"--data", data, "--port", "0"}, flags...)...)
}

// Start starts a Command. End it with Kill or Stop.
func Start(cmd *exec.Cmd) (*Server, error) {
	s := &Server{Cmd: cmd, Log: &Log{ready: make(chan string, 1)}, Gone: make(chan struct{})}
	cmd.Stderr = s.Log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.Err = cmd.Wait()
		close(s.Gone)
	}()
	return s, nil
}

// Ready waits until the server listens, at most for limit.
func (s *Server) Ready(limit time.Duration) error {
	select {
	case s.Addr = <-s.Log.ready:
		return nil
	case <-s.Gone:
		return fmt.Errorf("the server ended: %v\n%s", s.Err, s.Log)
	case <-time.After(limit):
		return fmt.Errorf("the server does not get ready\n%s", s.Log)
	}
}

// Kill ends the server as kill -9 does, if it has not ended yet.
func (s *Server) Kill() {
	s.Cmd.Process.Kill()
	<-s.Gone
}

// Stop sends a signal and waits until the server has ended, at most for limit. Err then says how it
// ended.
func (s *Server) Stop(how os.Signal, limit time.Duration) error {
	if err := s.Cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.Gone:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("the server does not stop\n%s", s.Log)
	}
}

// Log collects what a process writes. Any goroutine may read it with String.
type Log struct {
	ready chan string // receives the address that the server listens on

	mu   sync.Mutex
	text bytes.Buffer
	sent bool // the address, to ready
}

var readyLine = regexp.MustCompile(`msg="darner is ready".* address=(\S+)`)

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.sent {
		return len(p), nil
	}
	if m := readyLine.FindSubmatch(l.text.Bytes()); m != nil {
		l.sent = true
		l.ready <- string(m[1])
	}
	return len(p), nil
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
