package datadir

// A queue's name as the name of its directory. The mapping is one to one and leaves nothing in the
// result that a file system or a shell could take for something else. A '+' is escaped, so that it
// stays free to have a meaning in file names.

import (
	"errors"
	"fmt"
)

// ErrName is a name no queue can have: empty, over 250 bytes, with a byte up to 0x20, '/' or 0x7f,
// or with so many unusual bytes that its directory's name would be over 255.
var ErrName = errors.New("bad queue name")

const (
	maxName    = 250
	maxEscaped = 255
)

const upperHex = "0123456789ABCDEF"

// plain reports whether a byte stands for itself in a directory's name.
func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case c == '-', c == '_', c == '.', c == ',', c == ':', c == '=', c == '@', c == '~':
		return true
	}
	return false
}

func valid(c byte) bool { return c > ' ' && c != '/' && c != 0x7f }

// CheckName refuses, with an ErrName, what cannot name a queue in a request: what would not be one
// word of it, or would be read as an option.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: empty", ErrName)
	}
	if len(name) > maxName {
		return fmt.Errorf("%w: %d bytes of at most %d", ErrName, len(name), maxName)
	}
	for i := range len(name) {
		if !valid(name[i]) {
			return fmt.Errorf("%w: byte %#02x", ErrName, name[i])
		}
	}
	return nil
}

// DirName returns the name of a queue's directory, or an ErrName.
func DirName(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	dir := make([]byte, 0, maxEscaped)
	for i := range len(name) {
		if c := name[i]; plain(c) && (c != '.' || i > 0) {
			dir = append(dir, c)
		} else {
			dir = append(dir, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	if len(dir) > maxEscaped {
		return "", fmt.Errorf("%w: %d bytes on disk of at most %d", ErrName, len(dir), maxEscaped)
	}
	return string(dir), nil
}

// QueueName returns the queue whose directory has this name; false when DirName never makes it.
func QueueName(dir string) (string, bool) {
	if allPlain(dir) {
		return dir, true
	}
	b := make([]byte, 0, len(dir))
	for i := 0; i < len(dir); i++ {
		c := dir[i]
		if c == '%' {
			if i+2 >= len(dir) {
				return "", false
			}
			c = unhex(dir[i+1])<<4 | unhex(dir[i+2])
			i += 2
		}
		b = append(b, c)
	}
	name := string(b)
	again, err := DirName(name)
	return name, err == nil && again == dir
}

// allPlain reports whether a name stands for itself: hardly any does not, and there may be 100,000.
func allPlain(dir string) bool {
	for i := range len(dir) {
		if !plain(dir[i]) {
			return false
		}
	}
	return dir != "" && dir[0] != '.' && len(dir) <= min(maxName, maxEscaped)
}

// unhex answers nonsense for what is no digit: escaping again shows it.
func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}
