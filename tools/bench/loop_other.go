//go:build !linux

package bench

// newLoop returns the loop for this system.
func newLoop(m *meter) loop { return &portableLoop{meter: m} }
