package segment

// A page of a map that cannot be read or written is a memory fault, which would end the process.
// Here it becomes an error of the one segment.

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Guard turns a fault under a map into [ErrFault] with the file's path. Every function that touches
// mapped bytes, including the payloads of records, starts with
//
//	defer segment.Guard(path, debug.SetPanicOnFault(true), &err)
//
// Guards nest. Any other panic passes through. A guard costs a few nanoseconds and allocates
// nothing.
func Guard(path string, old bool, err *error) {
	p := recover()
	debug.SetPanicOnFault(old)
	if p == nil {
		return
	}
	f, ok := p.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok {
		panic(p)
	}
	*err = fmt.Errorf("segment %s: %w (check the disk and the file system): %v", path, ErrFault, f)
}
