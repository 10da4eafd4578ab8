// Package transcript reads conversations with the server from text files and replays them over
// any connection, so that one set of files tests a session in memory and a server on a socket.
//
// A file holds cases; each starts on a fresh server:
//
//	== an item that was set can be fetched
//	with max-open-reads 2
//	> set work 0 0 5
//	> hello
//	< STORED
//	B> get work
//	B< VALUE work 0 5
//	B< hello
//	B< END
//
// "> " sends a line, "< " expects one, both with \r\n at the end. A letter before that names the
// connection, which is dialled at its first mention. "with" sets a setting of the server. "until
// NAME VALUE" waits for a value of the server's stats. Lines that start with # are comments.
//
// In what is sent and expected, \r \n \t \\ and \xNN stand for bytes, {a*250} for a repetition, and
// a single \ at the end of a line leaves off the \r\n. An expected line may contain <any> and
// <number>; "< <closed>" expects the server to close, "> <hangup>" closes.
//
// At the end of a case every connection that is still open must answer "version" with nothing
// before it: what a case does not expect, the server must not say.
package transcript

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Case is one conversation.
type Case struct {
	File string
	Line int
	Name string
	With map[string]string // the server's settings, by name
	Step []Step
}

// Step is one line of a case.
type Step struct {
	Line int
	Conn string // which connection, "" by default
	Do   Action
	Text string // the line with its escapes resolved; for Until the name of a statistic
	Want string // for Until: the value waited for
	Bare bool   // no \r\n after Text
}

// Action is what a step does.
type Action uint8

const (
	Send Action = iota
	Expect
	ExpectClosed
	Hangup
	Until
)

// Load reads every *.txt of a directory, in the order of their names.
func Load(dir string) ([]Case, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no transcripts in %s", dir)
	}
	var all []Case
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		cases, err := Parse(filepath.Base(name), text)
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

// Parse reads the cases of one file; the name is for messages.
func Parse(file string, text []byte) ([]Case, error) {
	var cases []Case
	for i, raw := range bytes.Split(text, []byte("\n")) {
		line, at := string(raw), i+1
		if name, ok := strings.CutPrefix(line, "== "); ok {
			cases = append(cases, Case{File: file, Line: at, Name: name, With: map[string]string{}})
			continue
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("%s:%d: a step before the first case", file, at)
		}
		c := &cases[len(cases)-1]
		if setting, ok := strings.CutPrefix(line, "with "); ok {
			name, value, _ := strings.Cut(setting, " ")
			c.With[name] = value
			continue
		}
		step, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, at, err)
		}
		step.Line = at
		c.Step = append(c.Step, step)
	}
	return cases, nil
}

func parseStep(line string) (Step, error) {
	if figure, ok := strings.CutPrefix(line, "until "); ok {
		name, want, ok := strings.Cut(figure, " ")
		if !ok {
			return Step{}, fmt.Errorf("until wants a name and a value")
		}
		return Step{Do: Until, Text: name, Want: want}, nil
	}
	at := strings.IndexAny(line, "<>")
	if at < 0 || at > 1 || len(line) > at+1 && line[at+1] != ' ' {
		return Step{}, fmt.Errorf("not a step: %q", line)
	}
	s := Step{Conn: line[:at], Do: Send}
	if line[at] == '<' {
		s.Do = Expect
	}
	text := strings.TrimPrefix(line[at+1:], " ")
	switch {
	case s.Do == Expect && text == "<closed>":
		s.Do = ExpectClosed
		return s, nil
	case s.Do == Send && text == "<hangup>":
		s.Do = Hangup
		return s, nil
	}
	var err error
	s.Text, s.Bare, err = unescape(text)
	return s, err
}

// unescape resolves escapes and repetitions. bare is true if a single backslash ends the text.
func unescape(text string) (plain string, bare bool, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i == len(text)-1:
			bare = true
		case c == '\\':
			i++
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '\\':
				b.WriteByte('\\')
			case 'x':
				if i+2 >= len(text) {
					return "", false, fmt.Errorf("\\x wants two digits")
				}
				n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
				if err != nil {
					return "", false, fmt.Errorf("\\x wants two digits: %w", err)
				}
				b.WriteByte(byte(n))
				i += 2
			default:
				return "", false, fmt.Errorf("unknown escape \\%c", text[i])
			}
		case c == '{':
			body, times, end, ok := repetition(text[i:])
			if !ok {
				b.WriteByte(c)
				continue
			}
			b.WriteString(strings.Repeat(body, times))
			i += end - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), bare, nil
}

// repetition reads {text*times} at the start of s.
func repetition(s string) (body string, times, end int, ok bool) {
	end = strings.IndexByte(s, '}') + 1
	star := strings.LastIndexByte(s[:end], '*')
	if end == 0 || star < 0 {
		return "", 0, 0, false
	}
	times, err := strconv.Atoi(s[star+1 : end-1])
	if err != nil {
		return "", 0, 0, false
	}
	body, _, err = unescape(s[1:star])
	return body, times, end, err == nil
}
