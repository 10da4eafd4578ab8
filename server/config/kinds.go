package config

// The kinds of settings, other than plain sizes and Sync. All are flag.Values.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Value is the value of a setting as text. Set takes what String returns.
type Value interface {
	Set(text string) error
	String() string
}

// AutoSize is a size, or Auto, which fits the machine.
type AutoSize int64

// Auto is written "auto".
const Auto AutoSize = -1

func (a AutoSize) String() string {
	if a == Auto {
		return "auto"
	}
	return Size(a).String()
}

// Set parses text into a.
func (a *AutoSize) Set(text string) error {
	if text == "auto" {
		*a = Auto
		return nil
	}
	v, err := ParseSize(text)
	if err == nil {
		*a = AutoSize(v)
	}
	return err
}

// WhenFull says what happens to new items when a queue is at a bound.
type WhenFull string

const (
	Reject        WhenFull = "reject"         // they are refused
	DiscardOldest WhenFull = "discard-oldest" // the oldest waiting items make room
)

func (w WhenFull) String() string { return string(w) }

// Set parses text into w.
func (w *WhenFull) Set(text string) error { return choose(w, text, Reject, DiscardOldest) }

// Compress is how segments are compressed that are not read soon.
type Compress string

const (
	CompressZstd Compress = "zstd"
	CompressS2   Compress = "s2"
	CompressNone Compress = "none"
)

func (c Compress) String() string { return string(c) }

// Set parses text into c.
func (c *Compress) Set(text string) error {
	return choose(c, text, CompressZstd, CompressS2, CompressNone)
}

// Transport is how connections are served.
type Transport string

const (
	TransportAuto     Transport = "auto"     // what is best on this system
	TransportPortable Transport = "portable" // a goroutine for each
)

func (t Transport) String() string { return string(t) }

// Set parses text into t.
func (t *Transport) Set(text string) error {
	return choose(t, text, TransportAuto, TransportPortable)
}

func choose[T ~string](to *T, text string, from ...T) error {
	if !slices.Contains(from, T(text)) {
		words := make([]string, len(from))
		for i, w := range from {
			words[i] = string(w)
		}
		return fmt.Errorf("%q is not one of %s", text, strings.Join(words, ", "))
	}
	*to = T(text)
	return nil
}

// Interval is a duration, not negative; 0 means never.
type Interval time.Duration

func (i Interval) String() string {
	if i == 0 {
		return "0"
	}
	return time.Duration(i).String()
}

// Set parses text into i.
func (i *Interval) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not an interval: give one as in 720h, or 0", text)
	}
	*i = Interval(d)
	return nil
}

// text, number and boolean are settings of Go's own types.
type text struct{ to *string }

func (t text) String() string {
	if t.to == nil {
		return ""
	}
	return *t.to
}

func (t text) Set(s string) error {
	*t.to = s
	return nil
}

type number struct{ to *int }

func (n number) String() string {
	if n.to == nil {
		return ""
	}
	return strconv.Itoa(*n.to)
}

func (n number) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	*n.to = v
	return nil
}

type boolean struct{ to *bool }

func (b boolean) String() string { return strconv.FormatBool(b.to != nil && *b.to) }

func (b boolean) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	*b.to = v
	return nil
}
