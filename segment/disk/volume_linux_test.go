package disk

import "testing"

func TestAKernelsReleaseIsReadAsItsVersion(t *testing.T) {
	for release, want := range map[string][2]int{
		"6.1.0-13-amd64": {6, 1}, "5.8": {5, 8}, "4.19.232-rockchip": {4, 19}, "5.10.110+": {5, 10}, "10.0.1": {10, 0}, "": {0, 0}, "x": {0, 0},
	} {
		if major, minor := version(release); major != want[0] || minor != want[1] {
			t.Errorf("%q: got %d.%d, want %v", release, major, minor, want)
		}
	}
}
