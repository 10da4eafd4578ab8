package spawn

// What Linux says about a process in /proc.

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Proc returns the path of a file about the process, such as "status".
func (s *Server) Proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", s.Cmd.Process.Pid, file)
}

// Figure returns the number after a name in such a file. It is 0 when there is none, as for a
// thread that has ended.
func (s *Server) Figure(file, name string) (n int64) {
	text, _ := os.ReadFile(s.Proc(file))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ = strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return n
}

// Memory returns the process's anonymous memory in bytes.
func (s *Server) Memory() int64 { return s.Figure("status", "RssAnon") << 10 }

// Written returns how many bytes of files the process has written, counted when they become dirty.
func (s *Server) Written() int64 { return s.Figure("io", "write_bytes") }

// Sleeps returns how often the process's threads have gone to sleep.
func (s *Server) Sleeps() (n int64) {
	for _, task := range s.tasks() {
		n += s.Figure("task/"+task+"/status", "voluntary_ctxt_switches")
	}
	return n
}

// CPU returns the CPU time that the process's threads have used.
func (s *Server) CPU() (total time.Duration) {
	for _, task := range s.tasks() {
		text, _ := os.ReadFile(s.Proc("task/" + task + "/schedstat"))
		if f := strings.Fields(string(text)); len(f) > 0 {
			ns, _ := strconv.ParseInt(f[0], 10, 64)
			total += time.Duration(ns)
		}
	}
	return total
}

func (s *Server) tasks() (ids []string) {
	entries, _ := os.ReadDir(s.Proc("task"))
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

// Holds counts the files below a directory that the process has open, except its lock, and those
// that it has mapped.
func (s *Server) Holds(dir string) (open, mapped int) {
	descriptors, _ := os.ReadDir(s.Proc("fd"))
	for _, fd := range descriptors {
		to, _ := os.Readlink(s.Proc("fd/" + fd.Name()))
		if strings.HasPrefix(to, dir+"/") && !strings.HasSuffix(to, "/.lock") {
			open++
		}
	}
	maps, _ := os.ReadFile(s.Proc("maps"))
	return open, strings.Count(string(maps), " "+dir+"/")
}
