//go:build unix

package callout

import (
	"os/exec"
	"syscall"
)

func systemEnv() []string { return nil }

func runGroup(cmd *exec.Cmd, alone bool) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	group := cmd.Process.Pid
	if !alone {
		return cmd.Wait()
	}
	if !awaitEnd(group) {
		err := cmd.Wait()
		_ = syscall.Kill(-group, syscall.SIGKILL)
		return err
	}
	_ = syscall.Kill(-group, syscall.SIGKILL) // before Wait, after which another group could have the number
	return cmd.Wait()
}

// inheritNothing makes programs not inherit the descriptors that this process has inherited. Go opens its own with
// close-on-exec.
func inheritNothing() {
	for fd := 3; fd < 1024; fd++ {
		syscall.CloseOnExec(fd)
	}
}
