package server

// The memory limit: by default what the process's control group (a container's, a systemd unit's)
// allows, less some for what the collector does not see.

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

// limitMemory sets the soft limit of the collector. Without one of its own, GOMEMLIMIT of the
// environment stands, which the runtime has read.
//
// Where addresses are few the collector keeps the heap in what is kept back for it, whatever is set: a heap that finds
// no addresses ends the process.
func limitMemory(m config.AutoSize, heapAddresses int64, log *slog.Logger) {
	if heapAddresses < math.MaxInt64 {
		defer func() { debug.SetMemoryLimit(min(debug.SetMemoryLimit(-1), heapAddresses/4*3)) }() // addresses are taken by arenas
	}
	switch {
	case m == 0:
		debug.SetMemoryLimit(math.MaxInt64)
	case m > 0:
		debug.SetMemoryLimit(int64(m))
	case os.Getenv("GOMEMLIMIT") == "":
		if n := groupLimit(os.DirFS("/")); n > 0 {
			log.Debug("memory limit suits the control group", "bytes", n/5*4, "allowed", n)
			debug.SetMemoryLimit(n / 5 * 4)
		}
	}
}

// memory is what the process may have, in bytes: the collector's limit or, if that is less, what the machine has. Where
// neither is known it is a gibibyte.
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

// machineMemory is 0 where the system does not tell.
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

// groupLimit is the least memory, in bytes, that the process's control group or one above it allows;
// 0 without a limit. root is the file system's.
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
		for at := path.Clean("/" + f[2]); ; at = path.Dir(at) { // in a container only the top may be there
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

// readLimit reads one limit; 0 where there is none.
func readLimit(root fs.FS, name string) int64 {
	const unlimited = 1 << 60 // version 1 says so by a number without sense
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
