package config

// The configuration file. It is TOML, its keys have the names of the flags, tables [queue."NAME"]
// have the settings of single queues, or of those that match a pattern, and [default] those of all.

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

const (
	defaultTable = "default"
	queueTables  = "queue"
)

// readFile sets what the file says. Its errors are everything that is wrong in it, ranges apart.
func (c *Config) readFile() error {
	data, err := readAll(c.File())
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	top, errs := parse(c.File(), string(data))
	c.tables = newTables()
	known := names(c.Settings())
	for _, k := range top {
		switch k.name {
		case defaultTable:
			errs = append(errs, c.readDefault(k)...)
			continue
		case queueTables:
			errs = append(errs, c.readQueues(k)...)
			continue
		}
		s, ok := find(c.Settings(), k.name)
		if !ok {
			errs = append(errs, k.notAbove(append(known, defaultTable, queueTables)))
			continue
		}
		text, err := textOf(s.Value, k.value)
		if err == nil {
			err = s.Value.Set(text)
		}
		if err != nil {
			errs = append(errs, k.errorf("%w", err))
			continue
		}
		c.origin[s.Name] = k.origin()
	}
	return errors.Join(errs...)
}

// maxFile is how much a file may have: what has more, as a device, is none of ours.
const maxFile = 1 * MiB

func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: it has more than %v", path, Size(maxFile))
	}
	return data, err
}

// readDefault reads the table of all queues.
func (c *Config) readDefault(k key) []error {
	if !k.isTable {
		return []error{k.errorf("give a table for the settings of all queues: [default]")}
	}
	t, errs := readTable(k)
	c.tables.add(t)
	return errs
}

// readQueues reads the tables of queues and patterns.
func (c *Config) readQueues(all key) (errs []error) {
	if !all.isTable {
		return []error{all.errorf("give a table for each queue, as in [queue.\"orders\"]")}
	}
	for _, k := range all.table {
		of, err := parsePattern(k.name)
		if err != nil {
			errs = append(errs, k.errorf("no queue can have this name: %w", err))
			continue
		}
		if !k.isTable {
			errs = append(errs, k.errorf("not a table; settings of all queues stand in [default]"))
			continue
		}
		t, wrong := readTable(k)
		t.of = of
		errs = append(errs, wrong...)
		switch other := c.tables.add(t); {
		case other == nil:
		case of.isName():
			errs = append(errs, k.errorf("%v is a table of the same queue", other.at))
		default:
			errs = append(errs, k.errorf("a queue may match this and %v, and neither has more "+
				"before its first wildcard: say which is meant", other.at))
		}
	}
	return errs
}

func readTable(k key) (t *table, errs []error) {
	t = &table{at: k.origin(), keys: make(map[string]entry)}
	for _, of := range k.table {
		text, err := parseOwn(of)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.keys[of.name] = entry{text, of.origin()}
	}
	return t, errs
}

// notAbove is the error of a key that no setting above the first table has.
func (k key) notAbove(known []string) error {
	if _, ok := find(new(Queue).settings(), k.name); ok {
		return k.errorf("this is a setting of queues: it stands in [%s] or in a table of queues, "+
			"as [%s.\"NAME\"]", defaultTable, queueTables)
	}
	return k.errorf("there is no such setting%s", orSo(k.name, known))
}

// parseOwn returns the text of a setting in a queue's table. It has checked that the setting takes
// it.
func parseOwn(k key) (text string, err error) {
	settings := new(Queue).settings()
	s, ok := find(settings, k.name)
	switch {
	case k.isTable:
		return "", k.errorf("a table in a table: a name with a dot stands in quotes, as "+
			"[%s.\"a.b\"]", queueTables)
	case !ok:
		if server := new(Config); server.Setting(k.name) != nil && k.name != "queue-max-disk" {
			return "", k.errorf("this is a setting of the server, not of a queue: " +
				"it stands above the first table")
		}
		return "", k.errorf("there is no such setting%s", orSo(k.name, names(settings)))
	}
	if text, err = textOf(s.Value, k.value); err == nil {
		err = s.Value.Set(text)
	}
	if err != nil {
		return "", k.errorf("%w", err)
	}
	return text, nil
}

// key is a key of the file, with its value or its table.
type key struct {
	file    string
	line    int
	name    string
	path    string // with the tables that it is in
	value   any
	isTable bool
	table   []key // in the order of lines
}

func (k key) origin() origin { return origin{fmt.Sprintf("%s:%d", k.file, k.line), k.path} }

func (k key) errorf(format string, args ...any) error {
	return fmt.Errorf("%v: %w", k.origin(), fmt.Errorf(format, args...))
}

// maxSyntaxErrors is how many places are told where a file is not TOML.
const maxSyntaxErrors = 10

// parse reads TOML. A line that is not TOML is an error, and is left out, so that all such lines
// are told at once. A table whose first line is not TOML ends the reading: what its keys belong to
// is not known.
func parse(file, text string) (top []key, errs []error) {
	lines := strings.SplitAfter(text, "\n")
	for range maxSyntaxErrors {
		var keys map[string]toml.Primitive
		meta, err := toml.Decode(strings.Join(lines, ""), &keys)
		if err == nil {
			return keysOf(file, "", &meta, keys), errs
		}
		var p toml.ParseError
		if !errors.As(err, &p) {
			return nil, append(errs, fmt.Errorf("%s: %w", file, err))
		}
		why := strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(p.Message)
		if strings.HasPrefix(why, "expected value but found") {
			why += " (text is in quotes)"
		}
		at := placeOf(p, lines)
		errs = append(errs, fmt.Errorf("%s:%d: %s", file, at+1, why))
		bad := strings.TrimSpace(lines[at])
		if bad == "" || bad[0] == '[' {
			lines = lines[:at]
		} else {
			lines[at] = "\n"
		}
	}
	return nil, errs
}

// placeOf returns the index of the line that is not TOML. The library sometimes names the line
// after the line end that it did not expect.
func placeOf(p toml.ParseError, lines []string) int {
	at := min(max(p.Position.Line, 1), len(lines)) - 1
	var alone map[string]any
	if _, err := toml.Decode(lines[at], &alone); err == nil && at > 0 &&
		strings.Contains(p.Message, `'\n'`) {
		at--
	}
	return at
}

// bareKey has the characters of keys that need no quotes.
const bareKey = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// keysOf returns the keys of a table with their lines.
func keysOf(file, path string, meta *toml.MetaData, keys map[string]toml.Primitive) (all []key) {
	for name, p := range keys {
		k := key{file: file, name: name, path: name}
		if path == queueTables || strings.Trim(name, bareKey) != "" || name == "" {
			k.path = strconv.Quote(name)
		}
		if path != "" {
			k.path = path + "." + k.path
		}
		k.value, k.line = locate(meta, p)
		if _, k.isTable = k.value.(map[string]any); k.isTable {
			var table map[string]toml.Primitive
			if meta.PrimitiveDecode(p, &table) == nil {
				k.table = keysOf(file, k.path, meta, table)
			}
			if k.line == 0 && len(k.table) > 0 { // [queue.x] makes queue without a line of its own
				k.line = k.table[0].line
			}
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.name, b.name))
	})
	return all
}

// locate returns a value and its line. The library tells the line in errors alone, so this makes
// one: nothing is read into a channel. An Unmarshaler's error has the line as a number, and splits
// the whole file for it, which takes half a minute for 10,000 tables.
func locate(meta *toml.MetaData, p toml.Primitive) (value any, line int) {
	meta.PrimitiveDecode(p, &value)
	var nothing chan int
	if err := meta.PrimitiveDecode(p, &nothing); err != nil {
		fmt.Sscanf(err.Error(), "toml: line %d", &line) // else it has none
	}
	return value, line
}

// textOf returns a TOML value as text for a setting. Numbers are TOML numbers, sizes are numbers or
// text, no time may be the number 0, and everything else is text.
func textOf(v Value, raw any) (string, error) {
	switch raw := raw.(type) {
	case int64:
		switch v.(type) {
		case number, *Size, *AutoSize:
			return strconv.FormatInt(raw, 10), nil
		case *Interval:
			if raw == 0 {
				return "0", nil
			}
		}
	case bool:
		if _, ok := v.(boolean); ok {
			return strconv.FormatBool(raw), nil
		}
	case string:
		switch v.(type) {
		case number, boolean:
		default:
			return raw, nil
		}
	}
	switch v.(type) {
	case number:
		return "", errors.New("give a whole number, without quotes")
	case boolean:
		return "", errors.New("give true or false, without quotes")
	case *Size, *AutoSize:
		return "", errors.New("give a number of bytes, or text as in \"64MiB\"")
	case *Interval:
		return "", errors.New("give text, in quotes, as in \"30s\", or 0")
	}
	return "", errors.New("give text, in quotes")
}
