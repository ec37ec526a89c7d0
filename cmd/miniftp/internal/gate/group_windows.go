package gate

import (
	"os"
	"os/exec"
)

// systemEnv returns the variables without which programs don't start.
func systemEnv() []string { return []string{"SystemRoot=" + os.Getenv("SystemRoot")} }

// runGroup runs a program. Windows has no process groups that could be killed.
func runGroup(cmd *exec.Cmd) error { return cmd.Run() }
