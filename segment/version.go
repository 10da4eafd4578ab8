package segment

import "fmt"

// VersionError is an [ErrVersion]: it says of which format version a file is, older or newer.
type VersionError uint32

// OtherVersion returns a [VersionError].
func OtherVersion(v uint32) error { return VersionError(v) }

func (v VersionError) Error() string {
	return fmt.Sprintf("is of format version %d, which this program does not read", uint32(v))
}

func (v VersionError) Is(target error) bool { return target == ErrVersion }
