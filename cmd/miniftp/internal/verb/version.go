package verb

import (
	"runtime/debug"
	"strings"
)

// Version is the module's, as the go command recorded it.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "(devel)"
}
