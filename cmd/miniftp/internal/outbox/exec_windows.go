package outbox

import "os/exec"

// keepDescriptors does nothing: on Windows programs inherit only what they are given.
func keepDescriptors() {}

// ownGroup does nothing: Windows has no process groups that can be killed. The program itself is killed.
func ownGroup(*exec.Cmd) {}
