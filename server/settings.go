package server

// The settings in force, as "stats settings" shows them.

import (
	"cmp"
	"math"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/memcache"
)

// settings is the answer to "stats settings": what is in force now, fitted to the machine, sizes in
// bytes. First come some by memcached's names, which monitors look for, then all by those of the
// flags, then what is in force by each table of queues.
func (s *Server) settings() []memcache.Setting {
	now := s.inForce.Load()
	c := now.Config
	c.ReportedVersion = cmp.Or(c.ReportedVersion, bareVersion())
	if a, ok := s.Addr().(*net.TCPAddr); ok {
		c.Port = a.Port
	}
	c.MemoryLimit = memoryLimit()
	if c.Admin == config.AdminDefault {
		c.Admin = "default" // each command's own
	}
	if c.Transport == config.TransportAuto {
		c.Transport = config.TransportPortable
		if runtime.GOOS == "linux" {
			c.Transport = "epoll"
		}
	}
	all := []memcache.Setting{
		{Name: "maxbytes", Value: strconv.FormatInt(now.maxBytes, 10)},
		{Name: "maxconns", Value: strconv.Itoa(c.MaxConnections)},
		{Name: "tcpport", Value: strconv.Itoa(c.Port)},
		{Name: "item_size_max", Value: strconv.FormatInt(int64(c.MaxItemSize), 10)},
		{Name: "num_threads", Value: strconv.Itoa(c.Loops)},
	}
	all = appendSettings(all, "", c.Settings())
	for _, t := range c.Tables() {
		all = appendSettings(all, t.Name+".", t.Settings)
		all = append(all, memcache.Setting{
			Name:  t.Name + ".segment-size",
			Value: strconv.FormatInt(int64(queueSegmentSize(c, t.Queue.MaxDisk)), 10),
		})
	}
	return all
}

func appendSettings(
	all []memcache.Setting, prefix string, more []config.Setting,
) []memcache.Setting {
	for _, s := range more {
		value := s.Value.String()
		switch v := s.Value.(type) {
		case *config.Size:
			value = strconv.FormatInt(int64(*v), 10)
		case *config.AutoSize:
			value = strconv.FormatInt(int64(*v), 10)
		}
		all = append(all, memcache.Setting{Name: prefix + s.Name, Value: value})
	}
	return all
}

// memoryLimit is what the collector keeps to; 0 if any number of bytes will do.
func memoryLimit() config.AutoSize {
	n := debug.SetMemoryLimit(-1)
	if n == math.MaxInt64 {
		return 0
	}
	return config.AutoSize(n)
}

// queueConfig is the configuration in force for a queue, by the names of keys.
func (s *Server) queueConfig(name string) []memcache.Setting {
	return appendSettings(nil, "", s.inForce.Load().QueueSettings(name))
}

// maxBytes is what all items may take: max-disk or, without a bound, the file system's size.
func maxBytes(c config.Config) int64 {
	if c.MaxDisk > 0 {
		return int64(c.MaxDisk)
	}
	return fileSystemSize(c.Data)
}
