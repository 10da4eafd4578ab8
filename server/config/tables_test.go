package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, text string) Config {
	t.Helper()
	c, err := Read(Sources{File: file(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheMostSpecificTableThatSetsAKeyWins(t *testing.T) {
	c := read(t, `
parity = 2
max-item-size = "1MiB"
[default]
max-items = 1
max-bytes = "1KiB"
max-age = "1s"
when-full = "discard-oldest"
[queue."logs.*"]
max-items = 2
max-age = "2s"
[queue."logs.eu.*"]
max-age = "3s"
retry-delay = "5ms"
[queue."logs.eu.paris"]
max-items = 4
max-item-size = 10
[queue."*.dead"]
max-items = 5
[queue."log?.us"]
max-delayed = 9
`[1:])
	for name, want := range map[string]string{
		"other":         "1 1KiB 1s 1MiB 0 1000000",
		"logs.us":       "2 1KiB 2s 1MiB 0 9",
		"logs.eu.rome":  "2 1KiB 3s 1MiB 5ms 1000000",
		"logs.eu.paris": "4 1KiB 3s 10 5ms 1000000",
		"logs.eu.dead":  "2 1KiB 3s 1MiB 5ms 1000000",
		"a.dead":        "5 1KiB 1s 1MiB 0 1000000",
	} {
		q := c.Queue(name)
		got := fmt.Sprint(q.MaxItems, q.MaxBytes, q.MaxAge, q.MaxItemSize, q.RetryDelay,
			q.MaxDelayed)
		if got != want || q.Parity != 2 || q.WhenFull != DiscardOldest {
			t.Errorf("%s: got %s, %+v; want %s", name, got, q, want)
		}
	}
}

func TestTwoPatternsOfEqualRankThatANameMayMatchAreAnError(t *testing.T) {
	for text, wrong := range map[string]bool{
		"[queue.\"a*\"]\n[queue.\"a?\"]":             true,
		"[queue.\"*x\"]\n[queue.\"*y*\"]":            true,
		"[queue.\"a*x\"]\n[queue.\"a*y\"]":           false,
		"[queue.\"a?\"]\n[queue.\"a??\"]":            false,
		"[queue.\"a*\"]\n[queue.\"ab*\"]":            false,
		"[queue.ab]\n[queue.\"a%62\"]":               true,
		"[queue.\"a*\"]\n[queue.\"%61**\"]":          true,
		"[queue.\"a%2A\"]\n[queue.\"a*\"]":           false,
		"[default]\nparity = 0\n[queue.default]\n":   false,
		"[queue.\"x*\"]\n\n[queue.\"x*y\"]\ndelay=0": true,
	} {
		path := file(t, text)
		_, err := Read(Sources{File: path})
		if (err != nil) != wrong {
			t.Errorf("%q: got %v, want an error: %v", text, err, wrong)
		}
		if err != nil && !strings.Contains(err.Error(), path+":1: queue.") {
			t.Errorf("%q: got %v, want the place of the other table", text, err)
		}
	}
}

func TestAFanOutChildInheritsFromItsParent(t *testing.T) {
	c := read(t, `
[default]
max-items = 1
[queue.orders]
max-items = 2
max-age = "2s"
[queue."orders+audit"]
max-age = "3s"
[queue."o*"]
delay = "4s"
max-items = 9
[queue."*+slow"]
retry-delay = "5s"
`)
	for name, want := range map[string]string{
		"orders": "2 2s 4s 0", "orders+audit": "2 3s 4s 0", "orders+slow": "2 2s 4s 5s",
		"orders+a+b": "2 2s 4s 0", "other+slow": "9 0 4s 5s", "x+y": "1 0 0 0", "+orders": "1 0 0 0",
		"orders+": "9 0 4s 0",
	} {
		q := c.Queue(name)
		if got := fmt.Sprint(q.MaxItems, q.MaxAge, q.Delay, q.RetryDelay); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestNamesInTablesAndTargetsAreBytes(t *testing.T) {
	c := read(t, "[queue.\"a%FF%2A\"]\nexpire-to = \"b%fe%25\"\n")
	if q := c.Queue("a\xff*"); q.ExpireTo != "b\xfe%" || q.ExpireTo.String() != "b%FE%25" {
		t.Errorf("got %q, want the bytes", q.ExpireTo)
	}
	if q := c.Queue("a\xffx"); q.ExpireTo != "" {
		t.Errorf("got %q for another queue, want none", q.ExpireTo)
	}
	if got := c.OwnQueues(); len(got) != 1 || got[0] != "a\xff*" {
		t.Errorf("got %q, want the name of the queue", got)
	}
}

func TestQueuesWithTheSameTablesShareTheirSettings(t *testing.T) {
	c := read(t, "[queue.\"a*\"]\nparity = 3\n[queue.ax]\nparity = 4\n")
	of := Shared(c, func(q Queue) *Queue { return &q })
	if of("a1") != of("a2") || of("b1") != of("b2") || of("a1") == of("b1") || of("ax") == of("a1") {
		t.Error("want what a1 and a2 share, and what b1 and b2 do")
	}
	for name, want := range map[string]int{"a1": 3, "ax": 4, "b": 1} {
		if got := of(name).Parity; got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	plain := Shared(Default(), func(q Queue) *Queue { return &q })
	if plain("a") != plain("b") {
		t.Error("got two for queues without tables, want one")
	}
}

// A client may ask for any names.
func TestManyNamesCostNoMemoryInTheEnd(t *testing.T) {
	var text strings.Builder
	for i := range 12 {
		fmt.Fprintf(&text, "[queue.\"%s*%c*\"]\nparity = 1\n", strings.Repeat("a", i), 'A'+i)
	}
	built := 0
	of := Shared(read(t, text.String()), func(q Queue) *Queue { built++; return &q })
	for i := range 1 << 12 {
		name := strings.Repeat("a", 12)
		for b := range 12 {
			if i>>b&1 == 1 {
				name += string(rune('A' + b))
			}
		}
		of(name)
	}
	if built != 1<<12 {
		t.Fatalf("got %d combinations, want %d", built, 1<<12)
	}
	of("none")
	if of("none"); built != 1<<12+1 {
		t.Errorf("got another for a name that came just now")
	}
}

func TestWhatIsWrongInTablesIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"default = 1":         "default: give a table",
		"[default]\nport = 1": "default.port: this is a setting of the server",
		"[default]\nmax-itmes = 1": "default.max-itmes: there is no such setting; did you " +
			"mean max-items?",
		"[default]\nmax-items = -1":            "default.max-items: -1 is less than 0",
		"[default]\nmax-item-size = \"2GiB\"":  "default.max-item-size: 2GiB is more than the server's, 1GiB",
		"[default]\nmax-age = \"1us\"":         "default.max-age: 1µs is less than 1ms; 0 is for ever",
		"[default]\nmax-age = 5":               "default.max-age: give text, in quotes, as in \"30s\", or 0",
		"[queue.\"a*\"]\nmax-open-reads = 0":   "queue.\"a*\".max-open-reads: 0 is less than 1",
		"[queue.\"a%\"]":                       "queue.\"a%\": no queue can have this name: a % is followed",
		"[queue.\"a /*\"]":                     "queue.\"a /*\": no queue can have this name",
		"[queue.a]\nexpire-to = \"b/c\"":       "queue.\"a\".expire-to: no queue can have this name",
		"[queue.a]\ndead-letter = \"%\"":       "queue.\"a\".dead-letter: a % is followed",
		"[queue.a]\nmax-queue-age = \"999ms\"": "queue.\"a\".max-queue-age: 999ms is less than 1s",
		"[queue.a]\nmax-delayed = 0":           "queue.\"a\".max-delayed: 0 is less than 1",
		"[queue.a]\ndead-letter = \"b\"":       "queue.\"a\".dead-letter: it needs max-deliveries",
		"[queue.a]\nretry-delay-max = \"1s\"\nretry-delay = \"2s\"": "queue.\"a\".retry-delay-max: " +
			"retry-delay is 2s",
		"[default]\nretry-delay-max = \"1s\"\n[queue.\"a*\"]\nretry-delay = \"2s\"": "" +
			"queue.\"a*\".retry-delay: retry-delay is 2s, and more than retry-delay-max, 1s",
	} {
		path := file(t, text)
		_, err := Read(Sources{File: path})
		if err == nil || strings.Contains(err.Error(), "\n") ||
			!strings.HasPrefix(err.Error(), path+":") || !strings.Contains(err.Error(), ": "+want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestQueuesThatPassItemsAroundInACircleAreAnError(t *testing.T) {
	for text, want := range map[string]string{
		"[queue.a]\nexpire-to = \"b\"":                               "",
		"[queue.a]\nexpire-to = \"a\"":                               "(a expire-to a)",
		"[queue.a]\nexpire-to = \"b\"\n[queue.b]\nexpire-to = \"a\"": "(b expire-to a expire-to b)",
		"[queue.\"*\"]\nexpire-to = \"old\"":                         "(old expire-to old)",
		"[queue.\"*\"]\nexpire-to = \"old\"\n" +
			"[queue.old]\nexpire-to = \"\"": "",
		"[default]\nmax-deliveries = 3\ndead-letter = \"dead\"": "(dead dead-letter dead)",
		"[default]\nmax-deliveries = 3\ndead-letter = \"dead\"\n" +
			"[queue.dead]\nmax-deliveries = 0": "",
		"[queue.a]\nexpire-to = \"b\"\n[queue.\"b*\"]\nmax-deliveries = 2\ndead-letter = \"a\"": "" +
			"(b dead-letter a expire-to b)",
		"[queue.a]\nexpire-to = \"b\"\n[queue.b]\nexpire-to = \"c\"\n" +
			"[queue.c]\nexpire-to = \"b\"": "(b expire-to c expire-to b)",
		"[queue.a]\nexpire-to = \"a+x\"": "(a+x expire-to a+x)", // a child inherits
	} {
		_, err := Read(Sources{File: file(t, text)})
		if want == "" && err != nil || want != "" && (err == nil ||
			!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestALoopIsToldWithWhatEndsIt(t *testing.T) {
	path := file(t, "[default]\nexpire-to = \"old\"\n")
	_, err := Read(Sources{File: path})
	want := path + `:2: default.expire-to: items would go in a circle (old expire-to old); ` +
		`give [queue."old"] expire-to = "" of its own to end it`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestEachValueIsShownWithWhereItIsFrom(t *testing.T) {
	path := file(t, "port = 5\n[default]\nparity = 0\n[queue.\"a*\"]\nmax-age = \"1s\"\n")
	c, err := Read(Sources{File: path, Environ: []string{"DARNER_LOOPS=2", "DARNER_WHEN_FULL=reject"},
		Flags: map[string]string{"dialect": "kestrel", "queue-max-disk": "2MiB"}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(list []Shown, want map[string]string) {
		t.Helper()
		for _, s := range list {
			if w, ok := want[s.Name]; ok && s.Value+" "+s.From != w {
				t.Errorf("%s: got %q from %q, want %s", s.Name, s.Value, s.From, w)
			}
			delete(want, s.Name)
		}
		if len(want) > 0 {
			t.Errorf("%v is not shown", want)
		}
	}
	check(c.Show(), map[string]string{
		"port": "5 " + path + ":1", "loops": "2 DARNER_LOOPS", "dialect": "kestrel --dialect",
		"reported-version": "2.4.1 dialect kestrel", "data": "data default",
	})
	list, err := c.ShowQueue("ab")
	if err != nil {
		t.Fatal(err)
	}
	check(list, map[string]string{
		"max-age": "1s " + path + `:5 [queue."a*"]`, "parity": "0 " + path + ":3 [default]",
		"max-disk": "2MiB --queue-max-disk", "when-full": "reject DARNER_WHEN_FULL",
		"max-items": "0 default",
	})
}

func TestChangesAreNamed(t *testing.T) {
	before := read(t, "port = 1\n[queue.a]\nparity = 1\nmax-age = \"1s\"\n[default]\nmax-items = 1\n")
	after := read(t, "port = 2\n[queue.a]\nparity = 1\ndelay = \"1s\"\n[default]\nmax-items = 2\n")
	server, tables := Changes(before, after)
	got := fmt.Sprint(server, tables)
	want := `[port] [default.max-items queue."a".delay queue."a".max-age]`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTablesOfTheFileAreListedWithWhatIsInForce(t *testing.T) {
	c := read(t, "[queue.\"a*\"]\nparity = 3\n[default]\nparity = 2\nmax-age = \"1s\"\n"+
		"[queue.\"ab*\"]\nparity = 4\n[queue.\"abc+*\"]\n[queue.abc]\ndelay = \"1s\"\n")
	var got []string
	for _, table := range c.Tables() {
		q := table.Queue
		got = append(got, fmt.Sprint(table.Name, " ", q.Parity, " ", q.MaxAge, " ", q.Delay))
	}
	want := "default 2 1s 0; queue.a* 3 1s 0; queue.ab* 4 1s 0; queue.abc+* 4 1s 1s; queue.abc 4 1s 1s"
	if all := strings.Join(got, "; "); all != want {
		t.Errorf("got %s, want %s", all, want)
	}
}

func BenchmarkSettingsOfAName(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "[queue.\"logs.%d.*\"]\nparity = %d\n", i, i%4)
	}
	path := b.TempDir() + "/darner.toml"
	if err := writeFile(path, text.String()); err != nil {
		b.Fatal(err)
	}
	c, err := Read(Sources{File: path})
	if err != nil {
		b.Fatal(err)
	}
	of := Shared(c, func(q Queue) *Queue { return &q })
	b.ReportAllocs()
	for b.Loop() {
		of("logs.500.eu-west")
	}
}

func TestReadingAgainSeesWhatTheFileSaysNow(t *testing.T) {
	path := file(t, "max-age = 1")
	if _, err := (Config{}).Reread(); err != nil {
		t.Error(err)
	}
	if err := writeFile(path, "[default]\nmax-age = \"1s\"\n"); err != nil {
		t.Fatal(err)
	}
	c, err := Read(Sources{File: path, Flags: map[string]string{"port": "7"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(path, "[default]\nmax-age = \"2s\"\n"); err != nil {
		t.Fatal(err)
	}
	again, err := c.Reread()
	if err != nil || again.Port != 7 || again.Queue("q").MaxAge != Interval(2*time.Second) ||
		c.Queue("q").MaxAge != Interval(time.Second) {
		t.Errorf("got %v, %v, want port 7 and 2s, and 1s as before", again, err)
	}
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
