package torture

// Clients do at random what clients may, with queues of many settings. The settings are
// reloaded under them, and the server is killed and started again. rules_client_test.go has the
// clients, rules_books_test.go what they know of each item.

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/tools/spawn"
)

var rules = flag.Duration("rules", 0,
	"how long TestQueuesKeepTheirRules runs, with a server that detects races; 0: some seconds, without")

// rule is what the settings of a queue ask for. There are two of each.
type rule string

const (
	plain   rule = "plain"
	discard rule = "discard" // at a limit the oldest items go
	reject  rule = "reject"  // at a limit new items are refused
	age     rule = "age"     // items end, and are dropped
	move    rule = "move"    // items end, and move to "old"
	retry   rule = "retry"   // items delivered too often move to "dead"; slow clients lose them
	drop    rule = "drop"    // items delivered too often are dropped
	late    rule = "late"    // items are delayed
	old     rule = "old"
	dead    rule = "dead"
)

var ruleNames = []rule{plain, discard, reject, age, move, retry, drop, late}

// Figures of the settings, over all that are reloaded.
const (
	leastAge, mostAge = 500 * time.Millisecond, 2 * time.Second
	leastTimeout      = 150 * time.Millisecond
	leastDeliveries   = 2
	leastRetry        = 50 * time.Millisecond
	leastDelay        = 100 * time.Millisecond
	openReads         = 8
)

// settings is the n-th of the configurations that are reloaded.
func settings(n int) string {
	pick := func(of ...any) any { return of[n%len(of)] }
	return fmt.Sprintf(`
[default]
max-open-reads = %d
[queue."discard.*"]
max-items = %v
when-full = "discard-oldest"
[queue."reject.*"]
max-items = %v
max-bytes = "8KiB"
[queue."age.*"]
max-age = "%v"
[queue."move.*"]
max-age = "%v"
expire-to = "old"
max-expire-sweep = %v
[queue."retry.*"]
open-timeout = "%v"
max-deliveries = %v
dead-letter = "dead"
retry-delay = "50ms"
retry-delay-max = "%v"
[queue."drop.*"]
max-deliveries = %v
[queue."late.*"]
delay = "%v"
`, openReads, pick(60, 30, 100), pick(40, 80), pick("1s", "500ms", "2s"), pick("2s", "1s", "500ms"),
		pick(10000, 50), pick("300ms", "150ms"), pick(2, 3), pick("200ms", "0"), pick(3, 2, 4),
		pick("300ms", "100ms"))
}

// ruledQueues are all queues that clients put items into.
func ruledQueues() (all []string) {
	for _, k := range ruleNames {
		all = append(all, string(k)+".0", string(k)+".1")
	}
	return all
}

func kindOf(queue string) rule {
	name, _, _ := strings.Cut(queue, ".")
	return rule(name)
}

// campaign is one run of the test: a data directory, and the servers on it.
type campaign struct {
	*testing.T
	program, data, config string
	clients               int
	books                 *books
	d                     *daemon

	lives, kills, reloads int
}

func TestQueuesKeepTheirRulesWhateverClientsDo(t *testing.T) {
	dir := t.TempDir()
	c := &campaign{T: t, program: program, data: filepath.Join(dir, "data"),
		config: filepath.Join(dir, "darner.toml"), clients: 12}
	end, lives, life := time.Now(), 2, 500*time.Millisecond
	if *rules > 0 {
		var err error
		if c.program, err = spawn.BuildRacing(dir); err != nil {
			t.Fatal(err)
		}
		end, lives, life = end.Add(*rules), 6, 4*time.Second
	}
	var all tally
	for round := 0; round == 0 || time.Now().Before(end); round++ {
		c.books = newBooks(t)
		for n := range lives {
			c.live(life, *rules > 0 && rand.IntN(2) == 0 || *rules == 0 && n == 0)
		}
		c.drain()
		all.add(c.books.judge())
		if t.Failed() {
			break
		}
	}
	t.Logf("%d lives, %d ended by kill -9; %d reloads; %+v", c.lives, c.kills, c.reloads, all)
}

// configure writes the configuration. The server, which may read it at any time, finds a whole one.
func (c *campaign) configure(text string) {
	fresh := c.config + ".new"
	err := os.WriteFile(fresh, []byte(text), 0o600)
	if err == nil {
		err = os.Rename(fresh, c.config)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// launch starts a server.
func (c *campaign) launch() {
	c.Helper()
	cmd := spawn.Command(c.program, c.data, "--segment-size", "256KiB", "--config", c.config)
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	dieWithTest(cmd)
	s, err := spawn.Start(cmd)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(s.Kill)
	c.d = &daemon{s, c.T}
	if err := s.Ready(limit); err != nil {
		c.Fatal(err)
	}
}

// end ends the server, and fails if it found a race or an error.
func (c *campaign) end(kill bool) {
	c.Helper()
	c.d.lives()
	if kill {
		c.d.Kill()
	} else {
		c.d.stop()
	}
	for line := range strings.Lines(c.d.Log.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "DATA RACE") {
			c.Fatalf("the server says %s\n%s", line, c.d.Log)
		}
	}
}

// live is one life of the server, under load.
func (c *campaign) live(during time.Duration, kill bool) {
	c.lives++
	c.configure(settings(rand.IntN(6)))
	c.launch()
	before := c.ledgers()
	c.books.begin()
	stop := make(chan struct{})
	var all sync.WaitGroup
	for n := range c.clients {
		all.Go(func() { c.books.roam(c.d, n, stop) })
	}
	c.reload(time.Now().Add(during/2 + rand.N(during)))
	if kill {
		c.kills++
		c.end(true)
		close(stop)
		all.Wait()
		c.books.killed()
		return
	}
	close(stop)
	all.Wait()
	c.balance(before)
	c.end(false)
}

// reload changes the settings now and then, until some time.
func (c *campaign) reload(end time.Time) {
	admin := c.d.dial()
	for time.Now().Before(end) {
		time.Sleep(min(time.Until(end), rand.N(400*time.Millisecond))) // time that clients have
		c.d.lives()
		c.configure(settings(rand.IntN(6)))
		c.reloads++
		if rand.IntN(3) == 0 {
			c.d.Cmd.Process.Signal(syscall.SIGHUP)
			continue
		}
		if answer, err := admin.ask("reload"); err != nil || answer != "Reloaded config." {
			c.Fatalf("got %q, %v for reload\n%s", answer, err, c.d.Log)
		}
	}
}

// drain takes all that is left from a server that has no rules but one: what has expired moves.
func (c *campaign) drain() {
	c.configure(fmt.Sprintf("[default]\nmax-open-reads = %d\n[queue.\"move.*\"]\nexpire-to = \"old\"\n",
		openReads))
	c.launch()
	c.books.begin()
	c.books.draining = true
	c.empty(append(ruledQueues(), string(dead)))
	admin := c.d.dial()
	for _, queue := range ruledQueues() {
		if _, err := admin.ask("flush_expired " + queue); err != nil {
			c.Fatal(err)
		}
	}
	c.empty([]string{string(old)})
	c.end(false)
}

// empty takes all items of queues, also those that are delayed.
func (c *campaign) empty(queues []string) {
	var all sync.WaitGroup
	for _, queue := range queues {
		all.Go(func() {
			r := c.books.connect(c.d, 0)
			for r.err == nil && r.fetch(queue, "/t=1500") {
			}
			r.settle()
			r.Close()
			if r.err != nil {
				c.Errorf("%s: %v", queue, r.err)
			}
		})
	}
	all.Wait()
}

// account is what a server says of a queue.
type account struct{ total, waiting, gone int }

// ledgers are the accounts of all queues, when the server has come to rest after its start.
func (c *campaign) ledgers() map[string]account {
	admin := c.d.dial()
	var before map[string]account
	until(c.T, "a server at rest", func() bool {
		last := before
		before = make(map[string]account)
		for _, q := range ruledQueues() {
			for swept := ""; swept != "0"; { // else what has expired is in no account
				before[q] = accountOf(c.T, admin, q)
				var err error
				if swept, err = admin.ask("flush_expired " + q); err != nil {
					c.Fatal(err)
				}
			}
		}
		for q, a := range before {
			if b, there := last[q]; !there || a.waiting+a.gone != b.waiting+b.gone {
				time.Sleep(50 * time.Millisecond)
				return false
			}
		}
		return true
	})
	return before
}

func accountOf(t *testing.T, admin *client, queue string) account {
	f := admin.figures(t, queue)
	n := func(names ...string) (sum int) {
		for _, name := range names {
			i, _ := strconv.Atoi(f[name])
			sum += i
		}
		return sum
	}
	return account{
		total:   n("total_items"),
		waiting: n("items", "delayed_items", "open_transactions"),
		gone:    n("expired_items", "discarded_full", "discarded_flushed", "dead_letters"),
	}
}

// balance compares what the server counts with what its clients did in this life: what was there
// and what came is confirmed, gone for a reason that is counted, or there.
func (c *campaign) balance(before map[string]account) {
	admin := c.d.dial()
	for _, q := range ruledQueues() {
		least, most := c.books.takenFrom(q)
		var a account
		missing := 0
		balances := func() bool {
			a = accountOf(c.T, admin, q)
			b := before[q]
			missing = b.waiting + b.gone + a.total - b.total - a.waiting - a.gone
			return missing >= least && missing <= most
		}
		for end := time.Now().Add(limit); !balances(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				c.Fatalf("%s: %d items were taken as the server counts, as its clients do %d to %d: %+v, then %+v",
					q, missing, least, most, before[q], a)
			}
		}
	}
}
