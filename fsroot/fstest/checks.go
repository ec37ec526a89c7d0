package fstest

// check is a row of the table of checks.
type check struct {
	name string
	need Need
	run  func(*exam) error // nil means Yes, a refusal (see no) No, and any other error Wrong

	reads    bool // it writes nothing
	prepares bool // it needs no file to read
	byUpload bool // optional if the storage makes files of uploads itself
}

// checks holds all checks. A check that writes has a directory of its own.
var checks = []check{
	{name: "read a file", run: checkRead, reads: true},
	{name: "read from an offset", run: checkSeek, reads: true},
	{name: "ReadAt and wrong positions", need: Minor, run: checkReadAt, reads: true},
	{name: "attributes of a file", run: checkStat, reads: true},
	{name: "names that do not exist", run: checkMissing, reads: true, prepares: true},
	{name: "list a directory", run: checkList, reads: true, prepares: true},
	{name: "a listing agrees with Stat", need: Minor, run: checkListedAttributes, reads: true},
	{name: "several readers at once", run: checkReaders, reads: true},
	{name: "list without opening (ReadDirSeq)", need: Optional, run: checkReadDirSeq, reads: true},
	{name: "free space (Free)", need: Optional, run: checkFree, reads: true, prepares: true},
	{name: "identity of a file (Sys)", need: Optional, run: checkSys, reads: true},

	{name: "write a file", run: checkWrite},
	{name: "replace the content of a file", run: checkReplace},
	{name: "create only a new file (O_EXCL)", run: checkExclusive, byUpload: true},
	{name: "append (O_APPEND)", run: checkAppend, byUpload: true},
	{name: "write in the middle", run: checkMiddle, byUpload: true},
	{name: "WriteAt", need: Minor, run: checkWriteAt},
	{name: "truncate", need: Optional, run: checkTruncate},
	{name: "remove a file", run: checkRemove},
	{name: "make and remove a directory", run: checkMkdir},
	{name: "keep an empty directory", need: Minor, run: checkEmptyDir},
	{name: "refuse an existing directory", need: Minor, run: checkMkdirTwice},
	{name: "keep a directory that is full", run: checkRemoveFull},
	{name: "refuse a missing directory", need: Minor, run: checkMissingDir},
	{name: "refuse a file as a directory", need: Minor, run: checkFileAsDir},
	{name: "list 600 files in batches", run: checkBatches},

	{name: "rename a file", need: Optional, run: checkRename},
	{name: "rename replaces a file", need: Optional, run: checkRenameOver},
	{name: "rename without replacing (RenameNew)", need: Optional, run: checkRenameNew},
	{name: "rename a directory", need: Optional, run: checkRenameDir},
	{name: "move a directory (MoveDir)", need: Optional, run: checkMoveDir},
	{name: "refuse to replace a directory", need: Optional, run: checkRenameOverDir},
	{name: "readers keep a replaced file", need: Optional, run: checkReaderKeeps},

	{name: "set the time", need: Optional, run: checkChtimes},
	{name: "list the time that was set", need: Minor, run: checkListedTime},
	{name: "set the mode", need: Minor, run: checkChmod},
	{name: "a FileInfo does not change", need: Minor, run: checkSnapshot},
	{name: "symlinks", need: Optional, run: checkSymlinks},
	{name: "names with spaces", need: Minor, run: checkNames("a b", " a", "a ", "a  b")},
	{name: "names in UTF-8", need: Minor, run: checkNames("ä", "a\u0308", "日本", "🙂")},
	{name: "names with special characters", need: Minor, run: checkNames("-x", "*?[", `a\b`, "a:b", "#%+&'\"", "..a", "~")},
	{name: "names of 255 bytes", need: Minor, run: checkLongName},

	{name: "use by several at once", run: checkConcurrent},
	{name: "open a directory (Dir)", need: Optional, run: checkDir},
	{name: "copy attributes (Inherit)", need: Optional, run: checkInherit},
	{name: "lock a file (Lock)", need: Optional, run: checkLock},
	{name: "sync a directory (SyncDir)", need: Optional, run: checkSyncDir},

	{name: "uploads: whole or not at all", need: Optional, run: checkUpload},
	{name: "uploads: resume", need: Optional, run: checkUploadResume},
	{name: "uploads: append", need: Optional, run: checkUploadAppend},
	{name: "uploads: change a part", need: Optional, run: checkUploadPart},
	{name: "uploads: replace nothing (New)", need: Optional, run: checkUploadNew},
	{name: "uploads: abort", need: Optional, run: checkUploadAbort},
	{name: "uploads: hold back (Hold)", need: Optional, run: checkUploadHold},
	{name: "uploads: keep the time", need: Minor, run: checkUploadTime},
	{name: "uploads: remove old ones (SweepUploads)", need: Optional, run: checkSweep},
}
