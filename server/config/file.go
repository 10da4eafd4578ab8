package config

// The configuration file. It is TOML, its keys have the names of the flags, and tables
// [queue."NAME"] have the settings of single queues.

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/BurntSushi/toml"

	"github.com/darner/darner/wal/datadir"
)

const queueTables = "queue"

// Load reads a file into c. It leaves out settings for which given is true: flags override the
// file. Its errors name the file, and the line or the key. Validate checks ranges.
func (c *Config) Load(path string, given func(name string) bool) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	var keys map[string]any
	if _, err := toml.Decode(string(data), &keys); err != nil {
		return parseError(path, err)
	}
	var errs []error
	if raw, ok := keys[queueTables]; ok {
		errs = append(errs, c.loadQueues(path, raw))
		delete(keys, queueTables)
	}
	c.file, c.fromFile = path, make(map[string]bool)
	settings := c.Settings()
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		text, err := parseValue(settings, name, keys[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", path, name, err))
		} else if !given(name) {
			find(settings, name).Set(text)
			c.fromFile[name] = true
		}
	}
	return errors.Join(errs...)
}

func (c *Config) loadQueues(path string, raw any) error {
	tables, ok := raw.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: %s: give a table for each queue, as in [queue.\"orders\"]",
			path, queueTables)
	}
	var errs []error
	c.queues = make(map[string]map[string]string)
	for _, queue := range slices.Sorted(maps.Keys(tables)) {
		at := path + ": " + tableName(queue)
		if err := datadir.CheckName(queue); err != nil {
			errs = append(errs, fmt.Errorf("%s: no queue can have this name: %w", at, err))
			continue
		}
		keys, ok := tables[queue].(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf(
				"%s: not a table; settings of all queues have keys of their own", at))
			continue
		}
		own := make(map[string]string)
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			text, err := parseValue(new(Queue).settings(), name, keys[name])
			if err != nil {
				errs = append(errs, fmt.Errorf("%s.%s: %w", at, name, err))
			}
			own[name] = text
		}
		c.queues[queue] = own
	}
	return errors.Join(errs...)
}

func tableName(queue string) string { return queueTables + "." + strconv.Quote(queue) }

// parseError adds where the file is not TOML.
func parseError(path string, err error) error {
	var p toml.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: line %d: %s", path, p.Position.Line, p.Message)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// parseValue returns the text of a key's value. It has checked that the setting takes it.
func parseValue(settings []Setting, name string, raw any) (string, error) {
	v := find(settings, name)
	if v == nil {
		return "", errors.New("there is no such setting")
	}
	text, err := textOf(v, raw)
	if err != nil {
		return "", err
	}
	was := v.String()
	err = v.Set(text)
	v.Set(was)
	return text, err
}

func find(settings []Setting, name string) Value {
	for _, s := range settings {
		if s.Name == name {
			return s.Value
		}
	}
	return nil
}

// textOf returns a TOML value as text for the setting's flag. Numbers are TOML numbers, sizes are
// numbers or text, and everything else is text.
func textOf(v Value, raw any) (string, error) {
	n, isNumber := raw.(int64)
	s, isText := raw.(string)
	var takesNumber, takesText bool
	switch v.(type) {
	case number:
		takesNumber = true
	case *Size, *AutoSize:
		takesNumber, takesText = true, true
	default:
		takesText = true
	}
	switch {
	case isNumber && takesNumber:
		return strconv.FormatInt(n, 10), nil
	case isText && takesText:
		return s, nil
	case takesNumber && takesText:
		return "", errors.New("give a number of bytes, or text as in \"64MiB\"")
	case takesNumber:
		return "", errors.New("give a whole number, without quotes")
	}
	return "", errors.New("give text, in quotes")
}
