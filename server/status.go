package server

// What the server takes from its clients, kept from one start to the next; and the end that a
// client asks for.

import "github.com/darner/darner/server/status"

// openStatus returns the status that the last run was left with.
func (s *Server) openStatus() *status.Status {
	word, err := s.registry.ReadStatus()
	at, ok := status.Parse(word)
	if err != nil || !ok && word != "" {
		s.log.Error("cannot read the status that was set before; the server is up, and takes everything",
			"word", word, "error", err, "hint", "set it again")
	}
	if at != status.Up {
		s.log.Warn("the server does not take everything, as it was set before", "status", at.String(),
			"hint", "status up")
	}
	return status.New(at, status.Options{
		Keep:    func(to status.State) error { return s.registry.WriteStatus(to.String()) },
		Changed: s.statusChanged,
	})
}

// statusChanged ends the waits of those who are to get nothing any more.
func (s *Server) statusChanged(to status.State) {
	if !to.Gets() {
		s.registry.EndWaits()
	}
}

// ShutdownAsked is closed when a client has asked the server to stop: then call Stop.
func (s *Server) ShutdownAsked() <-chan struct{} { return s.shutdown.Done() }
