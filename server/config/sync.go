package config

// The sync policy: how long it may take until an answered item is on stable storage.

import (
	"fmt"
	"time"
)

// Sync says when items reach stable storage. If positive they do within that time, in the
// background. It is a flag.Value.
type Sync time.Duration

const (
	SyncAlways  Sync = 0  // before a SET is answered
	SyncNever   Sync = -1 // when the operating system likes
	DefaultSync      = Sync(time.Second)

	minSync = Sync(time.Millisecond)
)

// parseSync reads "always", "never", or an interval such as "1s" or "250ms", at least 1ms.
func parseSync(s string) (Sync, error) {
	switch s {
	case "always":
		return SyncAlways, nil
	case "never":
		return SyncNever, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || Sync(d) < minSync {
		return 0, fmt.Errorf("%q is not a sync policy: "+
			"give always, never, or an interval of 1ms or more, as in 1s", s)
	}
	return Sync(d), nil
}

// String writes s as parseSync reads it.
func (s Sync) String() string {
	switch {
	case s == SyncAlways:
		return "always"
	case s < 0:
		return "never"
	}
	return time.Duration(s).String()
}

// Set parses text into s.
func (s *Sync) Set(text string) error {
	v, err := parseSync(text)
	if err == nil {
		*s = v
	}
	return err
}
