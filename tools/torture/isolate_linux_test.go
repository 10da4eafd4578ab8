package torture

// Mounts, and processes on them, that go when the test does, even if it is killed.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

const insideVariable = "DARNER_TORTURE_ISOLATED"

// isolated runs the test binary again in a mount namespace of its own, as root; else, and inside,
// it does nothing.
func isolated() (code int, done bool) {
	if os.Getuid() != 0 || os.Getenv(insideVariable) != "" {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode(), true
	case errors.As(err, &exit):
		return 2, true // by a signal
	}
	fmt.Fprintln(os.Stderr, "no mount namespace of its own, tests that mount are skipped:", err)
	return 0, false
}

// dieWithTest has a process killed when the test ends, however it does.
func dieWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
