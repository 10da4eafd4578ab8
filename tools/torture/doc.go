// Package torture holds only tests. They run the real server on real file systems, and take away
// the disk under it. docs/durability.md says what each test shows.
//
// Most tests need Linux and root, because they mount file systems. The disks are in the memory of
// the test process. They can lose power, get full and fail at any request. The mounts are in a
// namespace of their own, so that nothing is left over, however a test ends.
//
//	go test ./tools/torture                      the short form, some seconds
//	make torture                                 the long form
//	make soak                                    hours of load, kills and restarts
//	make rules                                   an hour of clients at queues with settings
package torture
