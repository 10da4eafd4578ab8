//go:build !linux

package transport

// New returns the system's best transport: Portable here.
func New(o Options) (Transport, error) { return NewPortable(o), nil }
