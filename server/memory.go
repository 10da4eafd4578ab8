package server

// The memory limit. By default it is what the control group of the process (a container, a systemd
// unit) allows, less some for memory that the collector does not see.

import (
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/darner/darner/server/config"
)

// limitMemory sets the soft limit of the collector. If m is Auto, GOMEMLIMIT in the environment
// applies, which the runtime has read.
//
// Where addresses are few the limit is never more than the addresses reserved for the heap allow: a
// heap that gets no more addresses ends the process.
func limitMemory(m config.AutoSize, heapAddresses int64, log *slog.Logger) {
	if heapAddresses < math.MaxInt64 {
		defer func() { // the heap takes addresses by whole arenas, so a quarter stays free
			debug.SetMemoryLimit(min(debug.SetMemoryLimit(-1), heapAddresses/4*3))
		}()
	}
	switch {
	case m == 0:
		debug.SetMemoryLimit(math.MaxInt64)
	case m > 0:
		debug.SetMemoryLimit(int64(m))
	case os.Getenv("GOMEMLIMIT") == "":
		if n := groupLimit(os.DirFS("/")); n > 0 {
			log.Debug("memory limit is from the control group", "bytes", n/5*4, "allowed", n)
			debug.SetMemoryLimit(n / 5 * 4)
		}
	}
}

// memory is how many bytes the process may have: the collector's limit or the machine's memory,
// whichever is less, or 1 GiB if neither is known.
func memory(root fs.FS) int64 {
	n := debug.SetMemoryLimit(-1)
	if has := machineMemory(root); has > 0 {
		n = min(n, has)
	}
	if n == math.MaxInt64 {
		return config.GiB
	}
	return n
}

// machineMemory is the memory of the machine in bytes; 0 if unknown.
func machineMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// groupLimit is the lowest limit, in bytes, of the process's control group and those above it; 0
// without a limit. root is the root directory.
func groupLimit(root fs.FS) (least int64) {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(f) < 3 {
			continue
		}
		dir, file := "sys/fs/cgroup", "memory.max"
		switch {
		case strings.Contains(","+f[1]+",", ",memory,"):
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case f[1] != "":
			continue
		}
		for at := path.Clean("/" + f[2]); ; at = path.Dir(at) { // a container may see the top alone
			if n := readLimit(root, path.Join(dir, at, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// readLimit reads one limit; 0 if there is none.
func readLimit(root fs.FS, name string) int64 {
	const unlimited = 1 << 60 // version 1 has a huge number for it
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= unlimited {
		return 0
	}
	return n
}
