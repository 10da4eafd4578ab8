package main

// A server under measurement, and what /proc tells about it.

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running server.
type process struct {
	cmd     *exec.Cmd
	addr    string
	started time.Time     // of the exec
	ready   time.Duration // from there to the first answer
	work    time.Duration // CPU time until then
}

var readyLine = regexp.MustCompile(`msg="darner is ready".* address=(\S+)`)

// launch starts a server and waits for its first answer.
func launch(data string, flags ...string) (*process, error) {
	p := &process{}
	args := append([]string{"--data", data, "--port", "0"}, settings.flags...)
	p.cmd = exec.Command(settings.darner, append(args, flags...)...)
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(log)
	for p.addr == "" {
		if !lines.Scan() {
			return nil, fmt.Errorf("the server ended: %v", p.cmd.Wait())
		}
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			p.addr = m[1]
		} else {
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
	go io.Copy(os.Stderr, log)
	c, err := dial(p.addr)
	if err == nil {
		defer c.Close()
		_, err = c.ask("version\r\n")
	}
	p.ready, p.work = time.Since(p.started), p.cpu()
	if err != nil {
		p.end(syscall.SIGKILL)
	}
	return p, err
}

// end sends a signal and waits for the end.
func (p *process) end(how syscall.Signal) {
	p.cmd.Process.Signal(how)
	p.cmd.Wait()
}

func (p *process) proc(file string) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
	if err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
	}
	return string(b)
}

// figure finds a number behind a name in a file of /proc.
func (p *process) figure(file, name string) int64 {
	for line := range strings.Lines(p.proc(file)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return -1
}

// anon is the process's own memory in MB.
func (p *process) anon() float64 { return float64(p.figure("status", "RssAnon")<<10) / 1e6 }

// held counts the files in a directory that the process has open, and those it has mapped.
func (p *process) held(dir string) (open, mapped int) {
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	for _, fd := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", p.cmd.Process.Pid, fd.Name()))
		if strings.HasPrefix(to, dir+"/") && !strings.HasSuffix(to, "/.lock") {
			open++
		}
	}
	return open, strings.Count(p.proc("maps"), " "+dir+"/")
}

// switches is how often the process's threads went to sleep.
func (p *process) switches() (n int64) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	for _, t := range tasks {
		n += p.figure("task/"+t.Name()+"/status", "voluntary_ctxt_switches")
	}
	return n
}

// unixSync writes everything dirty to its disk.
func unixSync() { exec.Command("sync").Run() }

// cpu is the time that the process's threads have computed.
func (p *process) cpu() (total time.Duration) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	for _, t := range tasks {
		if f := strings.Fields(p.proc("task/" + t.Name() + "/schedstat")); len(f) > 0 {
			ns, _ := strconv.ParseInt(f[0], 10, 64)
			total += time.Duration(ns)
		}
	}
	return total
}
