package torture

// Mounts, and processes that use them, that end with the test even if it is killed.
//
// There are three processes: the one that go test starts, a keeper that makes the mount namespace,
// and in it the one that runs the tests and answers for the disks. The namespace must outlive the
// last one: the kernel would wait for a disk for which nobody answers.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

const insideVariable = "TORTURE_ISOLATED"

// isolated runs the test binary again in a mount namespace of its own. It does nothing if it is in
// one already, or not run by root.
func isolated() (code int, done bool) {
	switch stage := os.Getenv(insideVariable); {
	case os.Getuid() != 0 || stage == "yes":
		return 0, false
	case stage == "keeper":
		return keep(), true
	}
	alive, mine, err := os.Pipe()
	if err != nil {
		return 0, false
	}
	defer mine.Close() // the keeper notices when this process ends
	cmd := again("keeper")
	cmd.ExtraFiles = []*os.File{alive}
	// With a session of its own, it is not killed with this process's group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot make a mount namespace, so tests that mount are skipped:",
			err)
		return 0, false
	}
	return exitCode(cmd.Wait()), true
}

// keep runs the tests, and cleans up after they have ended.
func keep() int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP,
		syscall.SIGQUIT)
	dir, err := os.MkdirTemp("", "darner-torture-*")
	if err != nil {
		return exitCode(err)
	}
	defer clearUp(dir)
	cmd := again("yes")
	cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	if err := cmd.Start(); err != nil {
		return exitCode(err)
	}
	go func() {
		io.Copy(io.Discard, os.NewFile(3, "alive"))
		cmd.Process.Kill()
	}()
	return exitCode(cmd.Wait())
}

// clearUp removes what killed tests left: mounts, loop devices and files.
func clearUp(dir string) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range slices.Backward(slices.Collect(strings.Lines(string(mounts)))) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
	loops, _ := exec.Command("losetup", "--list", "--noheadings", "--output",
		"NAME,BACK-FILE").Output()
	for line := range strings.Lines(string(loops)) {
		if strings.Contains(line, deviceName(os.Getpid())) {
			exec.Command("losetup", "--detach", strings.Fields(line)[0]).Run()
		}
	}
	os.RemoveAll(dir)
}

// deviceName returns the prefix of the paths of loop devices' files, by which the keeper recognises
// them.
func deviceName(keeper int) string { return fmt.Sprintf("/torture-%d-", keeper) }

// again returns a command that runs the test binary for a stage.
func again(stage string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"="+stage)
	return cmd
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	return 2
}

// dieWithTest makes the kernel kill a process when the test process ends.
func dieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
