package fsck

// Reports: text for people and JSON for programs.

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/darner/darner/tools/names"
)

// Report writes the results of a run for people: findings and steps as they come, then a line for
// each queue, and the verdict. Close ends it.
type Report struct {
	w     io.Writer
	dry   bool
	table Table
	rows  []Row
}

// Table writes a table whose first column has names. The others come by their weight: where a table
// is too wide the last ones may be left out.
type Table func(w io.Writer, rows [][]string) error

// NewReport returns a report of a run with options o. It sets functions in o.
func NewReport(w io.Writer, o *Options, table Table) *Report {
	r := &Report{w: w, dry: o.DryRun, table: table}
	o.Finding, o.Action = r.finding, r.action
	o.Row = func(row Row) { r.rows = append(r.rows, row) }
	return r
}

func (r *Report) finding(f Finding) {
	severity := string(f.Severity)
	if f.Left {
		severity = "left"
	}
	fmt.Fprintf(r.w, "%-8s %s: %s\n", severity, place(f), f.What)
}

// place says where a finding is: queue/file and the range of bytes.
func place(f Finding) string {
	at := strings.Trim(names.Printable(f.Queue)+"/"+names.Printable(f.File), "/")
	if at == "" {
		at = "data"
	}
	if f.To > f.From {
		at += fmt.Sprintf(" %d-%d", f.From, f.To)
	}
	return at
}

func (r *Report) action(a Action) {
	word := "repair"
	if r.dry {
		word = "would be"
	}
	fmt.Fprintf(r.w, "%-8s %s: %s\n", word, place(Finding{Queue: a.Queue, File: a.File}), a.What)
}

// Close writes the table and the verdict.
func (r *Report) Close(res Result) error {
	if len(r.rows) > 0 {
		if err := r.writeTable(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(r.w, res.Verdict())
	return err
}

func (r *Report) writeTable() error {
	fmt.Fprintln(r.w)
	rows := [][]string{{"queue", "items", "lost", "live", "dead", "disk", "oldest", "newest",
		"segments", "gaps"}}
	for _, q := range r.rows {
		rows = append(rows, []string{names.Printable(q.Queue),
			fmt.Sprint(q.Items), fmt.Sprint(q.Lost),
			Size(q.Live), Size(q.Dead), Size(q.Disk), moment(q.Oldest), moment(q.Newest),
			fmt.Sprint(q.Segments), fmt.Sprint(q.Gaps)})
	}
	if err := r.table(r.w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(r.w)
	return err
}

// moment writes a time in Unix ms, to the second.
func moment(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z")
}

// Size writes a number of bytes with a binary unit.
func Size(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n)/(1<<10), "KMGTPE"
	for f >= 1023.95 && len(units) > 1 {
		f, units = f/(1<<10), units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", f, units[0])
}

// Verdict returns the result in a sentence.
func (r Result) Verdict() string {
	all := fmt.Sprintf("%s, %s", count(r.Queues, "queue"), items(r.Items))
	switch {
	case r.Lost > 0 && r.Damage == 0:
		all += fmt.Sprintf(" and %d lost that had not been synced", r.Lost)
	case r.Lost > 0:
		all += fmt.Sprintf(" and %d lost", r.Lost)
	}
	mended := r.Actions > 0 && !r.DryRun
	var say string
	switch {
	case r.Damage == 0 && mended:
		say = fmt.Sprintf("clean: %s; leftovers tidied away in %s", all, count(r.Actions, "step"))
	case r.Damage == 0 && r.Trouble > 0:
		say = "examined in part: " + all
	case r.Damage == 0:
		say = "clean: " + all
	case mended && r.Left == 0:
		say = fmt.Sprintf("repaired: %s; %s mended", all, count(r.Damage, "damaged place"))
	case mended:
		say = fmt.Sprintf("repaired in part: %s; %s, %d left", all,
			count(r.Damage, "damaged place"), r.Left)
	case r.DryRun && r.Actions > 0:
		say = fmt.Sprintf("damaged: %s; %s, to be mended in %s; nothing was changed", all,
			count(r.Damage, "damaged place"), count(r.Actions, "step"))
	default:
		say = fmt.Sprintf("damaged: %s; %s", all, count(r.Damage, "damaged place"))
		if r.mendable > 0 && !r.asked {
			say += "; --repair mends what can be mended"
		}
	}
	if r.Trouble > 0 {
		say += "; not all could be examined or done, see above"
	}
	return say
}

// count writes a number with a noun.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// JSON sets functions in o so that a run writes a line of JSON for everything that it finds: an
// object with one member, which is finding, repair or queue. CloseJSON writes the last line,
// result.
func JSON(w io.Writer, o *Options) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	write := func(kind string, v any) { enc.Encode(map[string]any{kind: v}) }
	o.Finding = func(f Finding) { write("finding", f) }
	o.Action = func(a Action) { write("repair", a) }
	o.Row = func(r Row) { write("queue", r) }
}

// CloseJSON writes the result after the lines of [JSON].
func CloseJSON(w io.Writer, res Result) error {
	return json.NewEncoder(w).Encode(map[string]any{"result": res})
}
