package memcache

// The commands that are about the server as a whole: STATUS, RELOAD and SHUTDOWN.

import (
	"errors"
	"log/slog"

	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/server/status"
)

const (
	badStatus   = "CLIENT_ERROR status takes nothing, up, readonly or quiescent\r\n"
	badReload   = "CLIENT_ERROR reload takes nothing\r\n"
	badShutdown = "CLIENT_ERROR shutdown takes nothing\r\n"
)

// Errors of a server that lacks what a command needs.
var (
	errNoReload   = errors.New("reload is not available")
	errNoShutdown = errors.New("shutdown is not available")
)

// statusCommand tells the state to everybody, and has administrators set it.
func (s *Session) statusCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	if n == 0 {
		s.reply(s.env.Status.Shown().String() + "\r\n")
		return
	}
	to, ok := status.Parse(string(w[0]))
	if n > 1 || !ok {
		s.answer(badStatus)
		return
	}
	if s.permitted(command{name: "status", access: AccessLocal}) {
		s.answerAfter(func() error { return s.setStatus(to) }, endOfAnswer)
	}
}

// setStatus is the job of statusCommand.
func (s *Session) setStatus(to status.State) error {
	was, err := s.env.Status.Set(to)
	if err == nil && was != to {
		s.audit("status is set", slog.String("status", to.String()), slog.String("was", was.String()))
	}
	return err
}

func (s *Session) reloadCommand(args []byte) {
	if word, _ := nextWord(args); len(word) > 0 {
		s.answer(badReload)
		return
	}
	s.answerAfter(s.reload, "Reloaded config.\r\n")
}

// reload is the job of reloadCommand.
func (s *Session) reload() error {
	if s.env.Reload == nil {
		return errNoReload
	}
	err := s.env.Reload()
	if err == nil {
		s.audit("configuration is reloaded")
	}
	return err
}

// shutdownCommand answers nothing, as in Kestrel: that the connection ends is the answer.
func (s *Session) shutdownCommand(args []byte) {
	if word, _ := nextWord(args); len(word) > 0 {
		s.answer(badShutdown)
		return
	}
	if s.env.Shutdown == nil {
		s.answer(serverError(errNoShutdown))
		return
	}
	s.audit("server is asked to stop")
	s.env.Shutdown()
	s.state = Closing
}

// refusedByStatus is the error of a command that the server does not take for now.
type refusedByStatus struct {
	state   status.State
	command string
}

func (e refusedByStatus) Error() string {
	text := "the server is read-only, and does not take "
	if e.state == status.Quiescent {
		text = "the server is quiescent, and does not take "
	}
	return text + e.command
}

func (refusedByStatus) Is(target error) bool { return target == queue.ErrReadOnly }

// refuses is the error of the current command, if the server does not take such: one that writes,
// or else one that gets. It is nil if it does.
func (s *Session) refuses(writes bool) error {
	at := s.env.Status.State()
	if at == status.Up || !writes && at.Gets() {
		return nil
	}
	return refusedByStatus{at, s.command}
}
