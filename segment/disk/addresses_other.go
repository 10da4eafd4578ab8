//go:build !linux

package disk

import "math"

// Addresses count as unlimited here: other kernels have no such limit, or do not tell what is in
// use.
const addressLimit, addressesAtStart int64 = math.MaxInt64, 0
