package serve

import (
	"cmp"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/ftp/server"
)

// perms maps the words of package settings to permissions of the server.
var perms = map[string]server.Perm{
	"read":      server.PermRead,
	"list":      server.PermList,
	"store":     server.PermStore,
	"overwrite": server.PermOverwrite,
	"delete":    server.PermDelete,
	"rename":    server.PermRename,
	"mkdir":     server.PermMakeDir,
	"change":    server.PermChange,
}

// permsOf returns the permissions that words of package settings name.
func permsOf(words []string) (all server.Perm) {
	for _, word := range words {
		all |= perms[word]
	}
	return all
}

// compatOf returns the Compat of a user.
func (cf *config) compatOf(a *settings.Account) server.Compat {
	if cmp.Or(a.Compat, cf.Compat) == settings.Device {
		return server.CompatDevice
	}
	return 0
}

// doubts holds the values of --accept-upload.
var doubts = map[string]server.Doubt{"hang-up": server.DoubtHangUp, "no-close-notify": server.DoubtNoCloseNotify}

func doubtsOf(words []string) (all server.Doubt) {
	for _, word := range words {
		all |= doubts[word]
	}
	return all
}
