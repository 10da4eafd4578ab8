package config

// The memory limit: what Go's collector tries to keep the process under.

import "fmt"

// Memory is a soft limit of the process's own memory in bytes. It is a flag.Value.
type Memory int64

const (
	MemoryAuto Memory = -1 // as the process's cgroup suggests
	MemoryNone Memory = 0

	minMemory = 16 * MiB // with less the collector would do nothing else
)

// ParseMemory reads "auto", 0 for none, or a size as ParseSize does, of at least 16 MiB.
func ParseMemory(s string) (Memory, error) {
	if s == "auto" {
		return MemoryAuto, nil
	}
	n, err := ParseSize(s)
	if err != nil || n != 0 && n < minMemory {
		return 0, fmt.Errorf("%q is not a memory limit: give auto, 0 for none, or a size of %v or more, as in 64MiB", s, Size(minMemory))
	}
	return Memory(n), nil
}

// String writes m so that ParseMemory returns the same.
func (m Memory) String() string {
	if m == MemoryAuto {
		return "auto"
	}
	return Size(m).String()
}

// Set parses text into m.
func (m *Memory) Set(text string) error {
	v, err := ParseMemory(text)
	if err == nil {
		*m = v
	}
	return err
}
