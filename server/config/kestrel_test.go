package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const production = `import com.twitter.conversions.time._

new KestrelConfig {
  listenAddress = "0.0.0.0" // all
  memcacheListenPort = Some(22134)
  queuePath = "/var/spool/kestrel"
  maxOpenTransactions = 100
  default.maxMemorySize = 128.megabytes; default.maxItemSize = 2.megabytes
  default.maxAge = 10.minutes
  admin.statsNodes = new StatsConfig {
    reporters = new TimeSeriesCollectorConfig
  }
  /* a comment
     of two lines: maxItems = 1 */
  queues = new QueueBuilder {
    name = "weather_updates"
    maxItems = 1500000
    maxSize = Long.MaxValue.bytes
  } :: new QueueBuilder {
    name = "jobs"; expireToQueue = Some("ready"); maxAge = 30.seconds
    maxSize = 2 * gigs
    keepJournal = false; maxExpireSweep = -1
  } :: new QueueBuilder { maxItems = 5 } :: new QueueBuilder {
    name = "50%*"
    discardOldWhenFull = true
    maxQueueAge = 2.days
    other = 7
  }
}
`

func TestAKestrelsSettingsAreReadOrNamed(t *testing.T) {
	got := FromKestrel("production.scala", production)
	for _, want := range []string{
		"\nlisten = \"0.0.0.0\"\nport = 22134\n# production.scala:6: queuePath = ",
		"\nmax-open-reads = 100\n# production.scala:10: admin.statsNodes = new StatsConfig { ... }: ",
		"\n# production.scala:23: new QueueBuilder: is left out",
		"\n[default]\n# production.scala:8: default.maxMemorySize = 128.megabytes: needs no setting",
		"\nmax-item-size = \"2MiB\"\nmax-age = \"10m\"\n\n",
		"\n[queue.\"weather_updates\"]\nmax-items = 1500000\nmax-bytes = 0\n\n",
		"\n[queue.\"jobs\"]\nexpire-to = \"ready\"\nmax-age = \"30s\"\n" +
			"# production.scala:21: maxSize = 2 * gigs: give max-bytes by hand",
		"\n# production.scala:22: keepJournal = false: has no counterpart",
		"\n# production.scala:22: maxExpireSweep = -1: give max-expire-sweep by hand",
		"\n[queue.\"50%25%2A\"]\nwhen-full = \"discard-oldest\"\nmax-queue-age = \"48h\"\n",
		"\n# production.scala:27: other = 7: is not known\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
	c := read(t, got)
	if q := c.Queue("50%*"); q.WhenFull != DiscardOldest || q.MaxItemSize != 2*MiB || c.Port != 22134 {
		t.Errorf("got %+v, want what the file says", q)
	}
}

func FuzzWhateverAKestrelsFileHasTheOutcomeIsTOML(f *testing.F) {
	f.Add(production)
	f.Add("new KestrelConfig { listenAddress = \"\\x00\\u00e9\"; x = \"\n} } new QueueBuilder{name=\"a\"}}")
	f.Add("new QueueBuilder { name = \"a\"; name = \"b\" }; new QueueBuilder { name = \"b\" }")
	f.Add("new QueueBuilder { name = \"a\"; name = \"b\"; name = \"a\" }")
	path := filepath.Join(f.TempDir(), "darner.toml")
	f.Fuzz(func(t *testing.T, text string) {
		got := FromKestrel("a\n.scala", text)
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs := parse(path, got); errs != nil {
			t.Errorf("%q: got\n%s\nwith %v", text, got, errs)
		}
	})
}
