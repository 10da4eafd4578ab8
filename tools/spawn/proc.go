package spawn

// What Linux tells of a process under /proc.

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Proc is the path of a file of the process.
func (s *Server) Proc(file string) string { return fmt.Sprintf("/proc/%d/%s", s.Cmd.Process.Pid, file) }

// Figure is a number after a name in such a file; 0 when there is none, as of a thread that has ended.
func (s *Server) Figure(file, name string) (n int64) {
	text, _ := os.ReadFile(s.Proc(file))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ = strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return n
}

// Memory is the process's anonymous memory in bytes.
func (s *Server) Memory() int64 { return s.Figure("status", "RssAnon") << 10 }

// Written is how many bytes the process has made dirty.
func (s *Server) Written() int64 { return s.Figure("io", "write_bytes") }

// Sleeps is how often the process's threads have gone to sleep.
func (s *Server) Sleeps() (n int64) {
	for _, task := range s.tasks() {
		n += s.Figure("task/"+task+"/status", "voluntary_ctxt_switches")
	}
	return n
}

// CPU is the time that the process's threads have computed.
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

// Holds counts the files below a directory that the process has open, but for its lock, and those it has mapped.
func (s *Server) Holds(dir string) (open, mapped int) {
	descriptors, _ := os.ReadDir(s.Proc("fd"))
	for _, fd := range descriptors {
		if to, _ := os.Readlink(s.Proc("fd/" + fd.Name())); strings.HasPrefix(to, dir+"/") && !strings.HasSuffix(to, "/.lock") {
			open++
		}
	}
	maps, _ := os.ReadFile(s.Proc("maps"))
	return open, strings.Count(string(maps), " "+dir+"/")
}
