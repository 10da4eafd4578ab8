//go:build !linux

package transport

var kinds = []kind{goroutines}
