package server

// Compat says for which kind of client an account deviates from the usual behaviour of the server. The zero value is for
// none.
type Compat uint8

// CompatDevice is for cameras, scanners and controllers of machines, which only upload, can't be changed, and take many
// refusals as a reason to give up. For such an account:
//
//   - PermStore includes making directories. An upload makes the missing directories of its path, and so does MKD, which
//     succeeds if the directory exists, whatever the account may do there.
//   - An upload to a name that exists, which the account may not replace (PermOverwrite), gets a numbered name:
//     picture-1.jpg for picture.jpg, and so does a file that is renamed to such a name. Later commands of the session
//     about picture.jpg are then about picture-1.jpg.
//   - An upload in stream mode counts as whole even if its end is doubtful (DoubtHangUp, DoubtNoCloseNotify). A device does
//     not resume uploads, and a part of its picture is better than none. What is cut by a reset, a timeout or ABOR is still
//     not whole.
//   - CWD without a directory stays where it is.
const CompatDevice Compat = 1

// The deviations of a Compat. Nothing else may ask for it.

func (a *Account) isDevice() bool { return a.Compat == CompatDevice }

// accepts reports whether an upload that is doubtful for that reason counts as whole.
func (a *Account) accepts(d Doubt) bool { return a.Accept.Has(d) || a.isDevice() }

// makesDirs reports whether the right to store a file of that path includes making directories for it.
func (a *Account) makesDirs(name string) bool { return a.Compat.makesDirs(a.permAt(name)) }

// numbersNames reports whether a new file of that path gets another name if its name exists.
func (a *Account) numbersNames(name string) bool {
	return a.isDevice() && !a.permAt(name).Has(PermOverwrite)
}

// mayRun reports whether permissions permit a command.
func (c Compat) mayRun(r *row, perm Perm) bool {
	return perm.Has(r.perm) || r.verb == "MKD" && c.makesDirs(perm)
}

// isMade reports whether a command is the MKD of a device for a directory that exists. It succeeds whatever the device may
// do there, because it changes nothing, and CWD tells as much.
func (s *session) isMade(r *row, arg string) bool {
	return r.verb == "MKD" && s.account.isDevice() && isDir(s.account.FS, s.pathFor(r, arg)) == nil
}

func (c Compat) makesDirs(perm Perm) bool { return c == CompatDevice && perm.Has(PermStore) }

// shown returns permissions as the perm fact of MLSx has them.
func (c Compat) shown(perm Perm) Perm {
	if c.makesDirs(perm) {
		return perm | PermMakeDir
	}
	return perm
}

// isComplete reports whether the argument of a command has the form that it needs.
func (s *session) isComplete(r *row, arg string) bool {
	return r.syntax.check(arg) || r.verb == "CWD" && s.account != nil && s.account.isDevice()
}
