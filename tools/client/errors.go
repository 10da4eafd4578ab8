package client

// What can go wrong, as far as callers tell it apart.

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNoServer means that no queue server is there, or that the connection to it broke.
	ErrNoServer = errors.New("no server")

	// ErrFull means that the server refused an item because the queue is at its limit.
	ErrFull = errors.New("the queue is at its limit")

	// ErrDamaged means that an item's bytes are lost on the server's disk.
	ErrDamaged = errors.New("the item is damaged")
)

// ServerError is an error line from the server, word for word.
type ServerError string

func (e ServerError) Error() string { return "the server answered: " + string(e) }

// IsRefusal reports whether the server refused what it was asked for.
func IsRefusal(err error) bool {
	return errors.As(err, new(ServerError)) || errors.Is(err, ErrFull)
}

// kindError is an error that is also one of the errors above, which its text does not repeat.
type kindError struct {
	error
	kind error
}

func (e kindError) Unwrap() []error { return []error{e.error, e.kind} }

// noServer returns an error that is ErrNoServer.
func noServer(format string, args ...any) error {
	return kindError{fmt.Errorf(format, args...), ErrNoServer}
}

func unexpected(line string) error {
	return noServer("the server answered %q: is it a queue server?", line)
}

// interrupted replaces the error of a connection whose wait ctx has ended.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
