package config

// The example file and the page about settings are complete and say what is so.

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const examplePath = "../../darner.example.toml"

// commented are keys of the example that are no settings there: an example of a value where there
// is no default, what the dialect presets, and what in [default] would win over flags.
var commented = map[string][]string{
	"": {"admin-commands", "close", "echo-key", "flush-all-answer", "relative-exptime-max",
		"reported-version", "socket", "stats-format"},
	defaultTable: {"compress", "compress-level", "dead-letter", "expire-to", "max-disk",
		"max-item-size", "max-open-reads", "parity", "when-full"},
}

// withoutDefault are keys whose value in the example is one that could be.
var withoutDefault = []string{"admin-commands", "reported-version", "socket", "expire-to",
	"dead-letter"}

func TestTheExampleIsTheDefault(t *testing.T) {
	c, err := Read(Sources{File: examplePath})
	if err != nil {
		t.Fatal(err)
	}
	server, _ := Changes(Default(), c)
	if len(server) > 0 {
		t.Errorf("%v of the example are not the default", server)
	}
	d := Default()
	if got, want := c.Queue("q"), d.Queue("q"); got != want {
		t.Errorf("got %+v for a queue, want the default, %+v", got, want)
	}
}

func TestTheExampleHasEveryKeyWithALineAboveIt(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`^(# )?([a-z-]+) = \S`)
	above, inComment := map[string][]string{}, map[string][]string{}
	section, last := "", ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "["+defaultTable+"]") {
			section = defaultTable
		}
		if strings.HasPrefix(line, "# A queue's own settings") {
			break
		}
		if m := key.FindStringSubmatch(line); m != nil {
			above[section] = append(above[section], m[2])
			if m[1] != "" {
				inComment[section] = append(inComment[section], m[2])
			}
			if !strings.HasPrefix(last, "# ") {
				t.Errorf("%s has no explanation", m[2])
			}
			if section == "" && strings.Contains(last, "(restart)") != NeedsRestart(m[2]) {
				t.Errorf("%s: the example has the opposite of what a reload does", m[2])
			}
		}
		last = line
	}
	c := Default()
	for section, all := range map[string][]Setting{
		"": c.Settings(), defaultTable: c.QueueSettings("q"),
	} {
		want := names(all)
		slices.Sort(want)
		got := slices.Sorted(slices.Values(above[section]))
		if !slices.Equal(got, want) {
			t.Errorf("[%s]: got %v, want %v", section, got, want)
		}
		slices.Sort(inComment[section])
		if !slices.Equal(inComment[section], commented[section]) {
			t.Errorf("[%s]: got %v in comments, want %v", section, inComment[section],
				commented[section])
		}
	}
}

func TestWhatTheExampleHasInCommentsIsTheDefaultToo(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^# (\[.*\]|[a-z-]+ = .*)$`).ReplaceAllString(string(text), "$1")
	all = strings.Replace(all, "max-deliveries = 0", "max-deliveries = 9", 1) // for dead-letter
	all += "[queue.expired]\nexpire-to = \"\"\n[queue.dead]\nexpire-to = \"\"\nmax-deliveries = 0\n"
	c := read(t, all)
	d := Default()
	was := d.Settings()
	for i, s := range c.Settings() {
		if !slices.Contains(withoutDefault, s.Name) && s.Value.String() != was[i].Value.String() {
			t.Errorf("%s: got %v, want the default, %v", s.Name, s.Value, was[i].Value)
		}
	}
	of := d.QueueSettings("q")
	for i, s := range c.QueueSettings("q") {
		if !slices.Contains(withoutDefault, s.Name) && s.Name != "max-deliveries" &&
			s.Value.String() != of[i].Value.String() {
			t.Errorf("%s: got %v, want the default, %v", s.Name, s.Value, of[i].Value)
		}
	}
	if q := c.Queue("orders"); q.MaxItems != 100_000 {
		t.Errorf("got %d items for the example of a queue, want its own", q.MaxItems)
	}
}

func TestThePageHasEverySettingWithItsDefault(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, queues, _ := strings.Cut(string(text), "\n## Settings of queues\n")
	queues, server, _ := strings.Cut(queues, "\n## Settings of the server\n")
	server, _, _ = strings.Cut(server, "\n## ")
	d := Default()
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([^|]+) \\|(.*)$")
	for page, all := range map[string][]Setting{server: d.Settings(), queues: d.QueueSettings("q")} {
		var got []string
		for _, m := range row.FindAllStringSubmatch(page, -1) {
			got = append(got, m[1])
			s, ok := find(all, m[1])
			want := s.Value.String()
			switch m[2] {
			case "none", "Darner's", "each its own", "the server's", "`queue-max-disk`": // no value
				continue
			}
			if !ok || s.Value.Set(m[2]) != nil || s.Value.String() != want {
				t.Errorf("%s: the page has %s, want %s", m[1], m[2], want)
			}
			if page == server && strings.Contains(m[3], "| live |") == NeedsRestart(m[1]) {
				t.Errorf("%s: the page has the opposite of what a reload does", m[1])
			}
		}
		if want := names(all); !slices.Equal(slices.Sorted(slices.Values(got)), sorted(want)) {
			t.Errorf("got the keys %v, want %v", got, want)
		}
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
