package config

// The configuration of a Kestrel, which is a program in Scala, read as far as that goes without
// running it: assignments of plain values, in the blocks that there are in practice.

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// FromKestrel returns the configuration file that a Kestrel's becomes. What needs no setting here,
// and what cannot be read, is a comment with its line.
func FromKestrel(file, text string) string {
	k := kestrel{file: file, queues: make(map[string]*section)}
	k.top.line(`# From ` + oneLine(file) + `. What has no setting here, or cannot be read, is a comment.`)
	k.top.line(`# dialect = "kestrel" answers as a Kestrel does where its clients insist on it.`)
	k.read(text)
	var b strings.Builder
	for _, s := range append([]*section{&k.top, &k.all}, k.named...) {
		b.WriteString(s.text())
	}
	return b.String()
}

// section is the top of the file, or a table.
type section struct {
	head  string // empty: the top
	lines []string
	at    map[string]int // the lines of keys
}

func (s *section) line(text string) { s.lines = append(s.lines, text) }

// set sets a key. As in a program the last value counts.
func (s *section) set(key, value string) {
	if s.at == nil {
		s.at = make(map[string]int)
	}
	line := key + " = " + value
	if i, ok := s.at[key]; ok {
		s.lines[i] = line
		return
	}
	s.at[key] = len(s.lines)
	s.line(line)
}

func (s *section) text() string {
	all := s.lines
	switch {
	case len(all) == 0 && s.head == "":
		return ""
	case s.head != "":
		all = append([]string{"", s.head}, all...)
	}
	return strings.Join(all, "\n") + "\n"
}

// kestrel is what was read so far.
type kestrel struct {
	file   string
	top    section // of the server
	all    section // [default]
	named  []*section
	queues map[string]*section
	scopes []scope
}

// scope is a block between braces.
type scope struct {
	kind  scopeKind
	queue *section // of a QueueBuilder; without a head until its name is known
}

type scopeKind uint8

const (
	ofServer scopeKind = iota
	ofQueue
	ofOther // it is not read
)

// read goes through a program statement by statement: a line, or what braces and semicolons leave
// of one.
func (k *kestrel) read(text string) {
	line, start := 1, 1
	var b strings.Builder
	end := func() string {
		s := strings.TrimSpace(b.String())
		b.Reset()
		return s
	}
	for i := 0; i < len(text); i++ {
		if b.Len() == 0 {
			start = line
		}
		rest := text[i:]
		switch c := text[i]; {
		case strings.HasPrefix(rest, "//"):
			i += strings.IndexByte(rest+"\n", '\n') - 1
		case strings.HasPrefix(rest, "/*"):
			comment, _, _ := strings.Cut(rest[2:], "*/")
			line += strings.Count(comment, "\n")
			i += len(comment) + 3
		case c == '"':
			n := 1 + strings.IndexAny(rest[1:]+"\n", "\"\n") // texts of several lines are not read
			if n < len(rest) && rest[n] == '"' {
				n++
			}
			b.WriteString(rest[:n])
			i += n - 1
		case c == '{':
			k.open(end(), start)
		case c == '}':
			k.statement(end(), start)
			k.close(line)
		case c == '\n' || c == ';':
			k.statement(end(), start)
			if c == '\n' {
				line++
			}
		default:
			b.WriteByte(c)
		}
	}
	k.statement(end(), start)
}

// scope is where a statement stands.
func (k *kestrel) scope() scope {
	if len(k.scopes) == 0 {
		return scope{}
	}
	return k.scopes[len(k.scopes)-1]
}

var made = regexp.MustCompile(`\bnew\s+(\w+)\s*(\(\s*\))?$`)

// open begins a block.
func (k *kestrel) open(before string, line int) {
	what := made.FindStringSubmatch(before)
	switch outer := k.scope(); {
	case outer.kind == ofOther:
		k.scopes = append(k.scopes, outer)
	case what != nil && what[1] == "KestrelConfig" && len(k.scopes) == 0:
		k.scopes = append(k.scopes, scope{})
	case what != nil && what[1] == "QueueBuilder":
		k.scopes = append(k.scopes, scope{ofQueue, new(section)})
	default:
		k.note(outer, line, before+" { ... }", "is not read")
		k.scopes = append(k.scopes, scope{kind: ofOther})
	}
}

// close ends a block.
func (k *kestrel) close(line int) {
	if len(k.scopes) == 0 {
		return
	}
	in := k.scope()
	k.scopes = k.scopes[:len(k.scopes)-1]
	if in.kind == ofQueue && in.queue.head == "" {
		k.note(scope{}, line, "new QueueBuilder", "is left out: it has no name that can be read")
	}
}

var (
	assignment = regexp.MustCompile(`^([\w.]+)\s*=\s*(.+)$`)
	noMatter   = regexp.MustCompile(`^(import\b.*|package\b.*|Nil|[:,()\s]*)*$`)
)

// statement reads one that is no block.
func (k *kestrel) statement(text string, line int) {
	in := k.scope()
	if in.kind == ofOther || noMatter.MatchString(text) {
		return
	}
	a := assignment.FindStringSubmatch(text)
	if a == nil {
		k.note(in, line, text, "cannot be read")
		return
	}
	name, ofDefault := strings.CutPrefix(a[1], "default.")
	to := k.section(in, ofDefault)
	if in.kind == ofQueue && name == "name" {
		k.name(in.queue, a[2], line)
		return
	}
	known := kestrelServer
	if in.kind == ofQueue || ofDefault {
		known = kestrelQueue
	}
	setting, ok := known[name]
	switch {
	case !ok:
		k.note(in, line, text, "is not known")
	case setting.key == "":
		to.line(k.comment(line, text, setting.why))
	default:
		value, ok := setting.read(plainValue(a[2]))
		if !ok {
			to.line(k.comment(line, text, "give "+setting.key+" by hand: the value cannot be read"))
			return
		}
		to.set(setting.key, value)
	}
}

// section is where a setting goes.
func (k *kestrel) section(in scope, ofDefault bool) *section {
	switch {
	case ofDefault:
		k.all.head = "[" + defaultTable + "]"
		return &k.all
	case in.kind == ofQueue:
		return in.queue
	}
	return &k.top
}

// name has a queue's settings be in the table of its name.
func (k *kestrel) name(s *section, value string, line int) {
	quoted, ok := readText(plainValue(value))
	name, err := strconv.Unquote(quoted)
	if !ok || err != nil || Name(name) == "" || new(Name).Set(escape(name)) != nil {
		s.line(k.comment(line, "name = "+value, "no queue can have this name, or it cannot be read"))
		return
	}
	s.head = "[" + queueTables + "." + strconv.Quote(tokensOf(nil, name).String()) + "]"
	first := k.queues[name] // the last one counts, and the last name of one
	k.named = slices.DeleteFunc(k.named, func(o *section) bool { return o == first || o == s })
	maps.DeleteFunc(k.queues, func(_ string, o *section) bool { return o == s })
	k.queues[name] = s
	k.named = append(k.named, s)
}

func (k *kestrel) note(in scope, line int, text, why string) {
	k.section(in, false).line(k.comment(line, text, why))
}

func (k *kestrel) comment(line int, text, why string) string {
	return fmt.Sprintf("# %s:%d: %s: %s", oneLine(k.file), line, oneLine(text), why)
}

// oneLine leaves out what a comment cannot have.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
}

// kestrelSetting is what one of Kestrel's becomes.
type kestrelSetting struct {
	key  string                               // empty: it needs none
	read func(string) (value string, ok bool) // as TOML
	why  string                               // it needs none
}

const noJournalSize = "needs no setting: journals are made of segments, and compacted as needed"

var kestrelServer = map[string]kestrelSetting{
	"listenAddress":       {key: "listen", read: readText},
	"memcacheListenPort":  {key: "port", read: readNumber},
	"maxOpenTransactions": {key: "max-open-reads", read: readNumber},
	"queuePath": {why: "give data a directory of its own; darner-fsck import --format " +
		"kestrel fills it from these journals"},
	"textListenPort":           {why: "has no counterpart: this protocol is not spoken"},
	"thriftListenPort":         {why: "has no counterpart: this protocol is not spoken"},
	"protocol":                 {why: "needs no setting: the text protocol is spoken"},
	"expirationTimerFrequency": {why: "needs no setting: expired items leave by themselves"},
	"clientTimeout": {why: "has no counterpart: an idle client may stay; tcp-keepalive finds one " +
		"that vanished"},
	"connectionBacklog": {why: "needs no setting"},
	"debugLogQueues":    {why: "has no counterpart"},
	"admin.httpPort":    {why: "has no counterpart"},
}

var kestrelQueue = map[string]kestrelSetting{
	"maxItems":           {key: "max-items", read: readNumber},
	"maxSize":            {key: "max-bytes", read: readSize},
	"maxItemSize":        {key: "max-item-size", read: readSize},
	"maxAge":             {key: "max-age", read: readTime},
	"expireToQueue":      {key: "expire-to", read: readName},
	"maxExpireSweep":     {key: "max-expire-sweep", read: readNumber},
	"maxQueueAge":        {key: "max-queue-age", read: readTime},
	"discardOldWhenFull": {key: "when-full", read: readDiscard},

	"defaultJournalSize":     {why: noJournalSize},
	"journalSize":            {why: noJournalSize},
	"maxJournalSize":         {why: noJournalSize + "; max-disk bounds them"},
	"maxJournalOverflow":     {why: noJournalSize},
	"minJournalCompactDelay": {why: noJournalSize},
	"discardExpired":         {why: "needs no setting: expired items leave by themselves"},
	"maxMemorySize":          {why: "needs no setting: the backlog takes no memory"},
	"keepJournal":            {why: "has no counterpart: every queue is on disk"},
	"journaled":              {why: "has no counterpart: every queue is on disk"},
	"syncJournal": {why: "is for all queues here: sync is always, an interval or never; " +
		"set QUEUE/sync syncs one item"},
	"fanoutOnly": {why: "has no counterpart: a queue that nobody reads can have max-items, max-age"},
	"puntManyErrorsToQueue": {why: "is dead-letter, with max-deliveries (100 if puntManyErrorCount " +
		"says nothing)"},
	"puntManyErrorCount": {why: "is max-deliveries, with dead-letter"},
	"puntErrorToQueue":   {why: "has no counterpart; retry-delay holds back what came back"},
}

var wrapped = regexp.MustCompile(`^Some\((.*)\)$`)

// plainValue is a value without what Scala wraps it in.
func plainValue(text string) string {
	if w := wrapped.FindStringSubmatch(text); w != nil {
		text = strings.TrimSpace(w[1])
	}
	return text
}

// readers of values; ok is false for what they cannot read. No bound, of whatever kind, is 0.

var noBound = regexp.MustCompile(`^(None|(Int|Long|Duration)\.(MaxValue|Top)(\.bytes)?)$`)

// printable is ASCII, which is quoted alike in Go and in TOML.
var printable = func() (all string) {
	for c := ' '; c < 0x7f; c++ {
		all += string(c)
	}
	return all
}()

func readText(text string) (string, bool) {
	s, err := strconv.Unquote(text)
	return strconv.Quote(s), err == nil && text[0] == '"' && strings.Trim(s, printable) == ""
}

func readName(text string) (string, bool) {
	if text == "None" {
		return `""`, true
	}
	s, err := strconv.Unquote(text)
	var name Name
	if err != nil || name.Set(escape(s)) != nil {
		return "", false
	}
	return strconv.Quote(name.String()), true
}

func readNumber(text string) (string, bool) {
	if noBound.MatchString(text) {
		return "0", true
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(text, "L"), 10, 64)
	return strconv.FormatInt(n, 10), err == nil && n >= 0
}

func readDiscard(text string) (string, bool) {
	when, ok := map[string]WhenFull{"true": DiscardOldest, "false": Reject}[text]
	return strconv.Quote(string(when)), ok
}

var withUnit = regexp.MustCompile(`^(\d+)L?\.(\w+?)s?$`)

func readSize(text string) (string, bool) {
	return readUnit(text, map[string]string{
		"byte": "", "kilobyte": "KiB", "megabyte": "MiB", "gigabyte": "GiB", "terabyte": "TiB",
	})
}

func readTime(text string) (string, bool) {
	if n, ok := strings.CutSuffix(strings.TrimSuffix(text, "s"), ".day"); ok {
		days, err := strconv.Atoi(n)
		return fmt.Sprintf(`"%dh"`, 24*days), err == nil && days >= 0
	}
	return readUnit(text, map[string]string{
		"millisecond": "ms", "second": "s", "minute": "m", "hour": "h",
	})
}

func readUnit(text string, units map[string]string) (string, bool) {
	if noBound.MatchString(text) {
		return "0", true
	}
	w := withUnit.FindStringSubmatch(text)
	if w == nil {
		return "", false
	}
	unit, ok := units[w[2]]
	return strconv.Quote(w[1] + unit), ok
}
