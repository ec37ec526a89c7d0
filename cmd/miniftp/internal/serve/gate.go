package serve

import (
	"errors"
	"os"
	"path/filepath"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/gate"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// gate sets the Gate of o. Mistakes are added to cf.Problems.
func (cf *config) gate(o *server.Options, served *servedTrees) {
	if len(cf.Gate) == 0 {
		for _, field := range []*string{&cf.GateQuarantine, &cf.GateSecretFile} {
			if *field != "" {
				cf.Wrong(field, "has no effect without %s", cf.Label(&cf.Gate))
			}
		}
		return
	}
	o.GateTimeout, o.MaxChecks = cf.GateTimeout, cf.GateParallel
	if cf.GateTimeout <= 0 {
		cf.Wrong(&cf.GateTimeout, "must be more than 0: a client waits for the check")
	}
	if cf.GateParallel <= 0 {
		cf.Wrong(&cf.GateParallel, "must be at least 1")
	}
	if cf.UploadInPlace {
		cf.Wrong(&cf.UploadInPlace, "can't be used together with %s: uploads in place are visible before they can be checked", cf.Label(&cf.Gate))
	}
	g, err := gate.New(cf.Gate, cf.secret(&cf.GateSecretFile))
	if err != nil {
		cf.Wrong(&cf.Gate, "%v", err)
		return
	}
	if cf.GateSecretFile != "" && !g.HasWebhook() {
		cf.Wrong(&cf.GateSecretFile, "has no effect: %s has no webhook", cf.Label(&cf.Gate))
	}
	g.Quarantine = cf.quarantine(served)
	o.Gate = g
}

// quarantine returns the place for refused uploads, or nil if there is none. A directory that clients see is a mistake.
func (cf *config) quarantine(served *servedTrees) *gate.Quarantine {
	size, err := flags.ParseSize(cf.GateSize, 1000)
	if err != nil {
		cf.Wrong(&cf.GateSize, "%q: a size is written as 500M, 2G or 2GiB", cf.GateSize)
	}
	if cf.GateQuarantine == "" {
		return nil
	}
	dir, err := filepath.Abs(cf.GateQuarantine)
	if err == nil {
		var fi os.FileInfo
		if fi, err = os.Stat(dir); err == nil && !fi.IsDir() {
			err = errors.New("is not a directory")
		}
	}
	if err != nil {
		cf.Blame(&cf.GateQuarantine, verb.LocalProblem(cf.GateQuarantine, err))
		return nil
	}
	// The directory itself may be a root: ask about a file in it.
	if root, _, ok := served.holder(filepath.Join(dir, "file")); ok {
		cf.Wrong(&cf.GateQuarantine, "%s is in %s, which is served: use another directory", ftp.Printable(cf.GateQuarantine), settings.ShownRoot(root))
	}
	return &gate.Quarantine{Dir: dir, Max: size}
}

// checkGated records a mistake for each root to which users may write but whose uploads can't be held back: those to
// another server are visible there when they are complete.
func (cf *config) checkGated() {
	if len(cf.Gate) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, t := range cf.AllTrees() {
		spec := t.Spec()
		if !t.Writes() || seen[spec] || !connect.IsRemote(spec) && storage.HoldsBack(spec) {
			continue
		}
		seen[spec] = true
		cf.Wrong(&cf.Gate, "can't be used for %s: uploads to another server can't be held back until they are checked", settings.ShownRoot(ftp.MaskURL(spec)))
	}
}
