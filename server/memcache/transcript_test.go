package memcache

import (
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/darner/darner/server/memcache/transcript"
)

// settings are what the cases of the transcripts may ask for.
func settings(t *testing.T, with map[string]string) func(*testServer) {
	return func(sv *testServer) {
		for name, value := range with {
			n, _ := strconv.Atoi(value)
			d, _ := time.ParseDuration(value)
			switch name {
			case "max-item-size":
				sv.env.MaxItemSize = int64(n)
			case "inline-max":
				sv.env.InlineMax = n
			case "max-open-reads":
				sv.env.MaxOpenReads = n
			case "max-disk":
				sv.queues.MaxDisk = int64(n)
			case "queue-max-disk":
				sv.every.MaxDisk, sv.every.SegmentSize = int64(n), 256<<10
			case "queue-max-items":
				sv.every.MaxItems = int64(n)
			case "queue-max-bytes":
				sv.every.MaxBytes = int64(n)
			case "queue-max-item-size":
				sv.every.MaxItemSize = int64(n)
			case "queue-max-open-reads":
				sv.every.MaxOpenReads = n
			case "queue-max-delayed":
				sv.every.MaxDelayed = n
			case "queue-delay":
				sv.every.Delay = d
			case "queue-open-timeout":
				sv.every.OpenTimeout = d
			case "queue-retry-delay":
				sv.every.RetryDelay = d
			case "queue-max-age":
				sv.every.MaxAge = d
			case "queue-max-deliveries":
				sv.every.MaxDeliveries = n
			case "queue-dead-letter":
				sv.every.DeadLetter = value
			case "queue-expire-to":
				sv.every.ExpireTo = value
			case "when-full":
				sv.every.Discard = value == "discard-oldest"
			case "sync":
				sv.env.SyncAlways = value == "always"
			case "flush-all-answer":
				answers := map[string]string{"ok": "OK", "flushed": "Flushed all queues."}
				sv.env.Dialect.FlushedAll = answers[value]
			case "reported-version":
				sv.env.Dialect.Version = value
			case "relative-exptime-max":
				sv.env.Dialect.RelativeExptimeMax = int64(n)
			case "close":
				sv.env.Dialect.CloseAny = value == "connection"
			case "echo-key":
				sv.env.Dialect.EchoAsked = value == "asked"
			case "stats-format":
				formats := map[string]StatsFormat{"full": StatsFull, "darner": StatsDarner}
				sv.env.Dialect.Stats = formats[value]
			case "admin-commands":
				access := map[string]Access{"local": AccessLocal, "all": AccessAll, "off": AccessOff}
				sv.env.Admin = access[value]
			default:
				t.Fatalf("unknown setting %q", name)
			}
		}
	}
}

func TestSessionAnswersAsTheTranscriptsSay(t *testing.T) {
	cases, err := transcript.Load("../../testdata/protocol")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.File+"/"+c.Name, func(t *testing.T) {
			sv := newServer(t, settings(t, c.With))
			dial := func() (io.ReadWriteCloser, error) { return sv.dial(), nil }
			if err := c.Replay(dial); err != nil {
				t.Fatal(err)
			}
		})
	}
}
