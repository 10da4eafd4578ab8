package server

// What the configuration's dialect is to the protocol.

import (
	"cmp"
	"strings"

	"github.com/darner/darner/server/config"
	"github.com/darner/darner/server/memcache"
)

func dialect(c config.Config) memcache.Dialect {
	return memcache.Dialect{
		Version:            cmp.Or(c.ReportedVersion, bareVersion()),
		FlushedAll:         flushedAll[c.FlushAllAnswer],
		RelativeExptimeMax: int64(c.RelativeExptimeMax),
		CloseAny:           c.Close == config.CloseConnection,
		EchoAsked:          c.EchoKey == config.EchoAsked,
		Stats:              statsFormat[c.StatsFormat],
	}
}

var statsFormat = map[config.StatsFormat]memcache.StatsFormat{
	config.StatsFull:   memcache.StatsFull,
	config.StatsServer: memcache.StatsServer,
	config.StatsDarner: memcache.StatsDarner,
}

var flushedAll = map[config.FlushAllAnswer]string{
	config.FlushAllOK:      "OK",
	config.FlushAllFlushed: "Flushed all queues.",
}

// bareVersion is X.Y.Z: clients parse it, and some die of more.
func bareVersion() string {
	bare, _, _ := strings.Cut(Version, "-")
	return bare
}
