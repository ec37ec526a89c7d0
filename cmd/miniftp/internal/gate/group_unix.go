//go:build unix

package gate

import (
	"os/exec"
	"syscall"
)

func systemEnv() []string { return nil }

// runGroup runs a program in a process group of its own. When the program has ended or the context of cmd has, all
// processes of the group are killed.
func runGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	group := cmd.Process.Pid
	if !awaitEnd(group) {
		err := cmd.Wait()
		_ = syscall.Kill(-group, syscall.SIGKILL)
		return err
	}
	_ = syscall.Kill(-group, syscall.SIGKILL) // before Wait, after which another group could have the number
	return cmd.Wait()
}
