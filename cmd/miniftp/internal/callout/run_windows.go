package callout

import (
	"os"
	"os/exec"
)

// systemEnv returns the variables without which programs don't start.
func systemEnv() []string { return []string{"SystemRoot=" + os.Getenv("SystemRoot")} }

// runGroup ignores alone: Windows has no process groups that could be killed.
func runGroup(cmd *exec.Cmd, _ bool) error { return cmd.Run() }

// inheritNothing does nothing: on Windows, programs inherit only what they are given.
func inheritNothing() {}
