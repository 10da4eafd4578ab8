package queue

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

// escape returns the name of the queue's directory, or an ErrName.
func escape(name []byte) (string, error) {
	if len(name) == 0 {
		return "", fmt.Errorf("%w: empty", ErrName)
	}
	if len(name) > maxName {
		return "", fmt.Errorf("%w: %d bytes of at most %d", ErrName, len(name), maxName)
	}
	file := make([]byte, 0, maxEscaped)
	for i, c := range name {
		switch {
		case !valid(c):
			return "", fmt.Errorf("%w: byte %#02x", ErrName, c)
		case plain(c) && (c != '.' || i > 0):
			file = append(file, c)
		default:
			file = append(file, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	if len(file) > maxEscaped {
		return "", fmt.Errorf("%w: %d bytes on disk of at most %d", ErrName, len(file), maxEscaped)
	}
	return string(file), nil
}

// unescape returns the queue whose directory has this name; false when escape never makes it.
func unescape(file string) (string, bool) {
	if allPlain(file) {
		return file, true
	}
	name := make([]byte, 0, len(file))
	for i := 0; i < len(file); i++ {
		c := file[i]
		if c == '%' {
			if i+2 >= len(file) {
				return "", false
			}
			c = unhex(file[i+1])<<4 | unhex(file[i+2])
			i += 2
		}
		name = append(name, c)
	}
	again, err := escape(name)
	return string(name), err == nil && again == file
}

// allPlain reports whether a name stands for itself: hardly any does not, and there may be 100,000.
func allPlain(file string) bool {
	for i := range len(file) {
		if !plain(file[i]) {
			return false
		}
	}
	return file != "" && file[0] != '.' && len(file) <= min(maxName, maxEscaped)
}

// unhex answers nonsense for what is no digit: escaping again shows it.
func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}
