package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// small returns options for short runs.
func small(server string, compare ...string) Options {
	return Options{Server: server, Compare: compare, Queue: "b", Size: 10,
		Duration: 5 * time.Millisecond, Rounds: 2,
		Connections: []int{2}, Depth: []int{3}, Backlog: []int64{0, 50},
		Sizes: []int{0, 70_000}, Rate: []float64{2000}, Large: 100_000, Streams: 2, Out: io.Discard}
}

func TestRunMakesATableJSONAndPlotsOfEverySuite(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system does not report the memory of a process")
	}
	o := small(queue{}.serve(t), "memcache://"+queue{}.serve(t))
	var text bytes.Buffer
	o.Out = &text
	report, err := Run(t.Context(), Suites(), o)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "plots")
	if err := report.Plot(dir); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Machine string
		Servers []struct{ Name, Version string }
		Suites  []struct {
			Name string
			Rows []map[string]any
		}
	}
	if err := json.Unmarshal(written, &read); err != nil {
		t.Fatal(err)
	}
	if read.Machine == "" || len(read.Servers) != 2 || read.Servers[1].Version != "0.1" ||
		len(read.Suites) != len(Suites()) {
		t.Errorf("got JSON %s\nwant a machine, 2 servers and all suites", written)
	}
	rows := map[string]int{"flood": 6, "packing": 4, "sizes": 4, "fairness": 8, "memory": 4,
		"latency": 4}
	for _, s := range read.Suites {
		if len(s.Rows) != rows[s.Name] {
			t.Errorf("%s: %d rows, want %d", s.Name, len(s.Rows), rows[s.Name])
		}
		for _, r := range s.Rows {
			first := r["server"] == read.Servers[0].Name
			_, compared := r["times"]
			_, measured := r["latency_us"]
			if s.Name == "memory" {
				_, measured = r["memory_bytes"]
			}
			if first == compared || !measured {
				t.Errorf("%s: got row %v, want times for the second server alone, and a figure",
					s.Name, r)
			}
		}
		if !strings.Contains(text.String(), "\n## "+s.Name+": ") {
			t.Errorf("got\n%s\nwant a table of %s", &text, s.Name)
		}
		wellFormed(t, filepath.Join(dir, s.Name+".svg"), read.Servers[0].Name)
	}
	if !strings.Contains(text.String(), " × |") ||
		!strings.Contains(text.String(), read.Servers[0].Name+" is |") {
		t.Errorf("got\n%s\nwant a comparison", &text)
	}
}

// wellFormed checks that an SVG is well-formed XML and names the server.
func wellFormed(t *testing.T, file, server string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	named := false
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		text, ok := token.(xml.CharData)
		named = named || ok && string(text) == server
	}
	if !named {
		t.Errorf("%s does not name server %s", file, server)
	}
}

func TestRunRefusesAQueueThatIsNotEmpty(t *testing.T) {
	addr := queue{}.serve(t)
	l := one(addr, memcache{}, "hello", newLoop)
	l.queue, l.mix, l.count = "b", sets, 1
	run(t, l)
	if _, err := Run(t.Context(), []string{"flood"}, small(addr)); err == nil ||
		!strings.Contains(err.Error(), "b of "+addr+" is not empty") {
		t.Errorf("a queue with an item: got %v, want an error that it is not empty", err)
	}
	l.mix = gets
	run(t, l) // the item is still there
}

func TestRunDeletesItsQueueWhateverHappens(t *testing.T) {
	for what, want := range map[string]string{"wrong answer": "ERROR", "interrupted": "canceled"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		broken := queue{before: func(request string) {
			if what == "interrupted" && strings.HasPrefix(request, "set b ") {
				cancel()
			}
		}}
		if what == "wrong answer" {
			broken.also = map[string]string{"get": "SERVER_ERROR no\r\n"}
		}
		addr := broken.serve(t)
		o := small(addr)
		o.Duration = time.Hour
		if _, err := Run(ctx, []string{"packing"}, o); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", what, err, want)
		}
		tg, err := newTarget(addr)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := tg.ask(t.Context(), "b"); err != nil || a.items != 0 {
			t.Errorf("%s: got %d items left, %v; want none", what, a.items, err)
		}
	}
}

func TestRunSaysWhatIsWrongWithOptions(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"none of the protocols": func(o *Options) { o.Server = "http://" + o.Server },
		"no server at":          func(o *Options) { o.Compare = []string{"127.0.0.1:1"} },
		"queue's name":          func(o *Options) { o.Queue = "a b" },
		"the duration":          func(o *Options) { o.Duration = 0 },
		"rounds":                func(o *Options) { o.Rounds = 0 },
		"connections":           func(o *Options) { o.Connections = []int{1, 0} },
		"in flight":             func(o *Options) { o.Depth = []int{-1} },
		"ascend":                func(o *Options) { o.Backlog = []int64{5, 1} },
		"rate":                  func(o *Options) { o.Rate = []float64{0} },
		"the size of":           func(o *Options) { o.Size = -1 },
		"sizes":                 func(o *Options) { o.Sizes = []int{16, -1} },
		"must be given":         func(o *Options) { o.Sizes = nil },
		"no such file":          func(o *Options) { o.Payload = "/none" },
		"is empty":              func(o *Options) { o.Payload = os.DevNull },
	} {
		o := small(queue{}.serve(t))
		change(&o)
		if _, err := Run(t.Context(), []string{"flood"}, o); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if _, err := Run(t.Context(), []string{"flut"}, small("127.0.0.1:1")); err == nil ||
		!strings.Contains(err.Error(), `"flut"`) {
		t.Errorf("an unknown suite: got %v, want an error that names it", err)
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	s := Suite{suite: suites[0], servers: []string{"a", "b"}, Rows: []*Row{
		{Server: "a", rates: []float64{100, 1000, 10}}, {Server: "b", rates: []float64{50, 500, 5}},
	}}
	s.compare()
	if a, b := s.Rows[0], s.Rows[1]; a.Rate != 100 || b.Rate != 50 || a.Times != 0 || b.Times != 2 {
		t.Errorf("got rates %v and %v, ratios %v and %v; want 100 and 50, 0 and 2", a.Rate, b.Rate,
			a.Times, b.Times)
	}
	s = Suite{suite: suites[slices.Index(Suites(), "memory")], servers: []string{"a", "b"},
		Rows: []*Row{{Server: "a", Memory: &Memory{Anonymous: 10}},
			{Server: "b", Memory: &Memory{Anonymous: 40}}}}
	if s.compare(); s.Rows[1].Times != 4 {
		t.Errorf("a has a quarter of the memory of b: got %v times better, want 4", s.Rows[1].Times)
	}
}

func TestServersAreComparedAtEachSizeByItself(t *testing.T) {
	o := small(queue{}.serve(t), "memcache://"+queue{}.serve(t))
	var text bytes.Buffer
	o.Out, o.Sizes = &text, []int{10, 70_000}
	report, err := Run(t.Context(), []string{"sizes"}, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range report.Suites[0].Rows {
		if *r.Size != o.Sizes[i/2] || r.Moved != r.Rate*float64(o.Sizes[i/2]) || r.Moved == 0 {
			t.Errorf("row %d: got %v bytes/s, want %v requests/s of %d bytes", i, r.Moved,
				r.Rate, *r.Size)
		}
		if base := report.Suites[0].base(r); base != report.Suites[0].Rows[i/2*2] {
			t.Errorf("row %d is compared with %+v, want row %d", i, base, i/2*2)
		}
	}
	if !strings.Contains(text.String(), "Items of many sizes (") ||
		!strings.Contains(text.String(), "| 68.36 KiB |") {
		t.Errorf("got\n%s\nwant sizes in it", &text)
	}
}

func TestPlotsTakeAnyName(t *testing.T) {
	r := Report{Suites: []Suite{{Name: "x", suite: suites[0], servers: []string{`<a&"b">`},
		Rows: []*Row{{Server: `<a&"b">`, Rate: 1}}}}}
	dir := t.TempDir()
	if err := r.Plot(dir); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, filepath.Join(dir, "x.svg"), `<a&"b">`)
}

func TestServersSayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		protocol string
		answers  []string
		want     info
	}{
		{"memcache", []string{"STAT version 1.6\r\nSTAT pid 7\r\nSTAT evictions 0\r\nEND\r\n",
			"END\r\n"}, info{"memcached", "1.6", 7, true, 0}},
		{"memcache", []string{"STAT version 1.6\r\nSTAT pid 7\r\nSTAT evictions 0\r\nEND\r\n",
			"VALUE q 0 1\r\na\r\nEND\r\n"}, info{"memcached", "1.6", 7, true, 1}},
		{"memcache", []string{"STAT version 1.0\r\nSTAT pid 7\r\nSTAT evictions 0\r\nSTAT disk_limit 0\r\n" +
			"STAT queue_q_items 3\r\nSTAT queue_q_open_transactions 2\r\nEND\r\n"},
			info{"darner", "1.0", 7, false, 5}},
		{"redis", []string{"$34\r\nredis_version:7.0\r\nprocess_id:77\r\n\r\n", ":4\r\n"},
			info{"redis", "7.0", 77, false, 4}},
		{"beanstalkd", []string{"OK 27\r\n---\npid: 7\nversion: \"1.12\"\n\r\n", "NOT_FOUND\r\n"},
			info{"beanstalkd", "1.12", 7, false, 0}},
		{"beanstalkd", []string{"OK 27\r\n---\npid: 7\nversion: \"1.12\"\n\r\n",
			"OK 51\r\n---\ncurrent-jobs-ready: 2\ncurrent-jobs-reserved: 1\n\r\n"},
			info{"beanstalkd", "1.12", 7, false, 3}},
	} {
		tg, err := newTarget(c.protocol + "://" + script(t, c.answers...))
		if err != nil {
			t.Fatal(err)
		}
		if a, err := tg.ask(t.Context(), "q"); err != nil || a != c.want {
			t.Errorf("%s answers %q: got %+v, %v; want %+v", c.protocol, c.answers, a, err, c.want)
		}
	}
	for _, protocol := range []string{"memcache", "redis", "beanstalkd"} {
		tg, _ := newTarget(protocol + "://" + script(t, "HTTP/1.1 400\r\n"))
		if _, err := tg.ask(t.Context(), "q"); err == nil ||
			!strings.Contains(err.Error(), `"HTTP/1.1 400"`) {
			t.Errorf("%s: got %v, want an error that quotes the answer", protocol, err)
		}
	}
}

func TestLabelsWithoutRoomAreLeftOut(t *testing.T) {
	for _, c := range []struct {
		names []string
		each  int
	}{
		{[]string{"1", "10", "100"}, 1},
		{strings.Split("16 B,64 B,256 B,1 KiB,4 KiB,16 KiB,64 KiB,256 KiB,1 MiB", ","), 2},
		{nil, 1},
	} {
		if each := labelEach(c.names, 280); each != c.each {
			t.Errorf("%q: got every %d shown, want every %d", c.names, each, c.each)
		}
	}
}
