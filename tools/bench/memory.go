package bench

// The memory of a server process, as the kernel counts it.

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Memory is how much RAM a process uses, in bytes.
type Memory struct {
	Anonymous int64 `json:"anonymous"` // RssAnon in /proc/PID/status
	Resident  int64 `json:"resident"`  // VmRSS: also mapped files, which the kernel can reclaim
}

// memory returns the memory of the server, which must run on this machine.
func (t *target) memory(ctx context.Context) (Memory, error) {
	var m Memory
	local, err := t.local(ctx)
	if err != nil {
		return m, err
	}
	if !local || t.pid == 0 {
		return m, fmt.Errorf("the memory of %s cannot be measured: it runs on another machine, "+
			"or does not say which process it is", t.name)
	}
	file := fmt.Sprintf("/proc/%d/status", t.pid)
	text, err := os.ReadFile(file)
	if err != nil {
		return m, fmt.Errorf("the memory of %s cannot be measured: %w", t.name, err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		kib, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "RssAnon:":
			m.Anonymous = kib << 10
		case "VmRSS:":
			m.Resident = kib << 10
		}
	}
	if m.Resident == 0 {
		return m, fmt.Errorf("the memory of %s cannot be measured: no VmRSS in %s", t.name, file)
	}
	return m, nil
}

// local reports whether the server runs on this machine: a connection to it then has the same
// address at both ends.
func (t *target) local(ctx context.Context) (bool, error) {
	c, err := t.control(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	here, ok := c.LocalAddr().(*net.TCPAddr)
	there, _ := c.RemoteAddr().(*net.TCPAddr)
	return !ok || here.IP.Equal(there.IP), nil
}
