package cmdline

import "errors"

// Exit codes, the same for all commands.
const (
	ExitEmpty       = 1   // nothing there
	ExitServer      = 1   // the server could not start, or not stop cleanly
	ExitInvalid     = 1   // the configuration is wrong
	ExitUsage       = 2   // the command line is wrong
	ExitNoServer    = 3   // no queue server there, or the connection broke
	ExitRefused     = 4   // the server refused
	ExitDamaged     = 5   // an item is damaged on the server's disk
	ExitHere        = 6   // something failed here: a file, the output, a command
	ExitInterrupted = 130 // by SIGINT or SIGTERM
)

// exit is an error with the exit code that it ends the process with.
type exit struct {
	error
	code int
}

func (e exit) Unwrap() error { return e.error }

// Exit returns err with an exit code, unless it has one.
func Exit(code int, err error) error {
	if _, has := ExitCode(err); err == nil || has {
		return err
	}
	return exit{err, code}
}

// ExitCode returns the exit code that Exit gave to an error.
func ExitCode(err error) (code int, ok bool) {
	var e exit
	ok = errors.As(err, &e)
	return e.code, ok
}
