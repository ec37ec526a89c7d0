//go:build unix

package outbox

import (
	"os/exec"
	"syscall"
)

// keepDescriptors makes programs not inherit the descriptors that this process has inherited. Go opens its own with close-on-exec.
func keepDescriptors() {
	for fd := 3; fd < 1024; fd++ {
		syscall.CloseOnExec(fd)
	}
}

// ownGroup makes the end of the context of cmd kill all that it has started, too.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
