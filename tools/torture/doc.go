// Package torture holds tests only: they run the real server on real file systems and take the
// disk away from under it. docs/durability.md tells what each shows.
//
// Most of them need Linux and root: they mount file systems, from disks that live in the memory of
// the test and that can be cut off from power, filled and broken at any request. All of it is in a
// mount namespace of the test's own, so nothing is left over however the test ends.
//
//	go test ./tools/torture                      the small form, some seconds
//	make torture                                 the long one
//	make soak                                    hours of load, kills and restarts
package torture
