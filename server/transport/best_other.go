//go:build !linux

package transport

// newBest returns the system's best transport: the portable one here.
func newBest(s *Server) (transport, error) { return newPortable(s), nil }
