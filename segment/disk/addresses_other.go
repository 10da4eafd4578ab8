//go:build !linux

package disk

import "math"

// There is no limit of addresses: other kernels keep to none, or do not tell what is in use.
const addressLimit, addressesAtStart int64 = math.MaxInt64, 0
