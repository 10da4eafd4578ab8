//go:build !linux

package queue

func asleep() int64 { return 0 }
