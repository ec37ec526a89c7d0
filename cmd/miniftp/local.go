package main

import (
	"os"
	"path/filepath"
	"runtime"
)

// stateDir is where this user's programs keep what they made themselves.
func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "miniftp"), nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		dir, err := os.UserConfigDir()
		return filepath.Join(dir, "miniftp"), err
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "miniftp"), err
}

// geteuid is the user that the process runs as; -1 where there is no such number.
var geteuid = os.Geteuid
