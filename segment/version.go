package segment

import "fmt"

// OtherVersion returns an [ErrVersion] for a file of another format version, older or newer.
func OtherVersion(v uint32) error { return versionError(v) }

type versionError uint32

func (v versionError) Error() string {
	return fmt.Sprintf("it is of format version %d, which this program does not read", uint32(v))
}

func (v versionError) Is(target error) bool { return target == ErrVersion }
