// Package config is what an operator can set: the settings of one server, their defaults, and
// what makes them valid.
package config

import (
	"errors"
	"fmt"
	"math"
)

// Config is the settings of one server. Start from Default; the zero value is not valid.
type Config struct {
	Data           string // directory of the journals; created when missing
	Listen         string // host or address the TCP port is bound to
	Port           int    // TCP port, 0..65535; 0 takes any free one
	Socket         string // path of a Unix socket to listen on as well; empty: none
	Sync           Sync   // when items reach stable storage
	SegmentSize    Size   // capacity of a journal segment, 256 KiB..1 GiB
	MaxConnections int    // clients served at a time, at least 1; more are turned away
	MaxItemSize    Size   // largest item taken, 1 byte..1 TiB
	InlineMax      Size   // largest item kept inside a segment, 1 byte..1 MiB and a quarter of SegmentSize; larger ones are streamed
	MaxOpenReads   int    // items a connection may have open of one queue, at least 1
	MemoryLimit    Memory // soft limit of the process's own memory
	Admin          Admin  // who may use the administrator's commands
}

// Default is a server on this machine alone, its data in ./data, that a power cut costs the
// items of the last second at most.
func Default() Config {
	return Config{
		Data:           "data",
		Listen:         "127.0.0.1",
		Port:           22133,
		Sync:           DefaultSync,
		SegmentSize:    16 * MiB,
		MaxConnections: 16384,
		MaxItemSize:    1 * GiB,
		InlineMax:      64 * KiB,
		MaxOpenReads:   1,
		MemoryLimit:    MemoryAuto,
	}
}

// The bounds of settings that have some.
const (
	MinSegmentSize = 256 * KiB
	MaxSegmentSize = 1 * GiB
	maxMaxItemSize = 1 * TiB
	maxInlineMax   = 1 * MiB
)

// Validate reports everything that is wrong with c, an error per setting.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		bad("data: a directory is needed")
	}
	if c.Listen == "" {
		bad("listen: an address is needed (0.0.0.0 listens on all)")
	}
	if c.Port < 0 || c.Port > math.MaxUint16 {
		bad("port: %d is not between 0 and %d", c.Port, math.MaxUint16)
	}
	if c.SegmentSize < MinSegmentSize || c.SegmentSize > MaxSegmentSize {
		bad("segment-size: %v is not between %v and %v", c.SegmentSize, Size(MinSegmentSize), Size(MaxSegmentSize))
	}
	if c.MaxConnections < 1 {
		bad("max-connections: %d is less than 1", c.MaxConnections)
	}
	if c.MaxItemSize < 1 || c.MaxItemSize > maxMaxItemSize {
		bad("max-item-size: %v is not between 1 and %v", c.MaxItemSize, Size(maxMaxItemSize))
	}
	if most := min(maxInlineMax, max(c.SegmentSize, MinSegmentSize)/4); c.InlineMax < 1 || c.InlineMax > most {
		bad("inline-max: %v is not between 1 and %v", c.InlineMax, most)
	}
	if c.MaxOpenReads < 1 {
		bad("max-open-reads: %d is less than 1", c.MaxOpenReads)
	}
	return errors.Join(errs...)
}
