package datadir

// A queue's name and the name of its directory. The mapping is one to one. Its result contains
// nothing that a file system or a shell could misread. A '+' is escaped, so that it is free for
// another meaning in file names.

import (
	"errors"
	"fmt"
)

// ErrName is the error for a name that no queue can have: it is empty or longer than 250 bytes, it
// has a byte up to 0x20, a '/' or 0x7f, or it has so many unusual bytes that its directory's name
// would be longer than 255 bytes.
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

// CheckName returns an ErrName for what cannot name a queue in a request, because it is not a
// single word there.
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

// QueueName returns the queue whose directory has this name. It is false if DirName never returns
// such a name.
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

// allPlain reports whether all bytes stand for themselves. Nearly all names are like that, and
// there may be 100,000 of them.
func allPlain(dir string) bool {
	for i := range len(dir) {
		if !plain(dir[i]) {
			return false
		}
	}
	return dir != "" && dir[0] != '.' && len(dir) <= min(maxName, maxEscaped)
}

// unhex returns nonsense for a byte that is not a digit. Escaping the result again shows that.
func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}
