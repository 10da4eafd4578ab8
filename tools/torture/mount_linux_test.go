package torture

// File systems on devices.

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// kind is a kind of file system.
type kind struct {
	name  string
	size  int64 // bytes, at least what mkfs needs
	mkfs  []string
	mount string // mount options
}

var kinds = []kind{
	{"ext4", 64 << 20, []string{"mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard"}, ""},
	{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f", "-K"}, "nouuid"},
	{"btrfs", 128 << 20, []string{"mkfs.btrfs", "-q", "-f", "-K"}, ""},
}

// exfat mounts exFAT with FUSE. It stands for FAT on kernels without it.
const exfat = "mount.exfat-fuse"

func (k kind) options() string {
	if k.mount == "" {
		return "rw"
	}
	return k.mount
}

// whole returns how many bytes the disk writes atomically at an offset. It is a sector, except
// where the file system itself relies on more. xfs cannot recover a torn directory block, because
// it takes the LSN in the block's head for that of the whole block. ext4 and btrfs cannot recover a
// torn superblock, which they overwrite in place.
func (k kind) whole(off int64) int64 {
	page := off / pageSize * pageSize
	switch {
	case k.name == "xfs", k.name == "ext4" && page == 0,
		k.name == "btrfs" && (page == 64<<10 || page == 64<<20):
		return pageSize
	}
	return sectorSize
}

func kindNamed(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic(name)
}

// needsRoot skips a test that mounts if it is not allowed to.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	if os.Getenv(insideVariable) == "" {
		t.Skip("mounting needs a mount namespace of its own")
	}
}

// needs skips a test of a file system that this machine does not have.
func (k kind) needs(t *testing.T) {
	t.Helper()
	needsRoot(t)
	programs := k.mkfs[:1]
	if k.name == "fuseblk" {
		programs = append(programs[:1:1], exfat)
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(known), "\t"+k.name+"\n") {
		t.Skipf("this kernel has no %s", k.name)
	}
}

// run runs a command that must succeed.
func run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// mounted is a mounted file system.
type mounted struct {
	t    *testing.T
	dir  string
	done bool
}

// make makes a device with an empty file system.
func (k kind) make(t *testing.T, s *shelf, size int64) *device {
	t.Helper()
	d := newDevice(size)
	d.whole = k.whole
	loop := attach(t, s, d)
	defer run(t, "losetup", "--detach", loop)
	run(t, append(k.mkfs[:len(k.mkfs):len(k.mkfs)], loop)...)
	return d
}

// attach sets up a loop device, and returns its path.
func attach(t *testing.T, s *shelf, d *device) string {
	t.Helper()
	return run(t, "losetup", "--find", "--show", s.add(d))
}

// use mounts a device's file system, until the end of the test at most.
func (k kind) use(t *testing.T, s *shelf, d *device) *mounted {
	t.Helper()
	m := &mounted{t: t, dir: t.TempDir()}
	loop := attach(t, s, d)
	defer run(t, "losetup", "--detach", loop) // it stays until it is unmounted
	if k.name == "btrfs" {
		run(t, "btrfs", "device", "scan", "--forget") // the same file system on another device
	}
	// Another process mounts: this one answers for the disk, and must not wait for it.
	if k.name == "fuseblk" {
		run(t, exfat, loop, m.dir)
	} else {
		run(t, "mount", "-i", "-t", k.name, "-o", k.options(), loop, m.dir)
	}
	t.Cleanup(m.unmount)
	return m
}

// unmount unmounts the file system. The device then holds all of it.
func (m *mounted) unmount() {
	m.t.Helper()
	if m.done {
		return
	}
	m.done = true
	if out, err := exec.Command("umount", "-i", m.dir).CombinedOutput(); err != nil {
		m.t.Errorf("umount %s: %v\n%s", m.dir, err, out)
		exec.Command("umount", "-i", "--lazy", m.dir).Run()
	}
}
