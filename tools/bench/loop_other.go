//go:build !linux

package bench

// newLoop is what drives sessions on this system.
func newLoop(m *meter) loop { return &portableLoop{meter: m} }
