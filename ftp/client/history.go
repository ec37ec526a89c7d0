package client

import (
	"strings"
	"sync/atomic"

	"miniftp/ftp"
)

// history is what connections to one server have learned about it. The connections of a Pool
// share it, so that what one has found out costs the others no round trip. The zero value is ready
// to use.
type history struct {
	noEPSV atomic.Bool // the server refused it, or the ports that it named can't be reached
	noEPRT atomic.Bool
	noMLSD atomic.Bool
	noMLST atomic.Bool
	noSIZE atomic.Bool
	noMDTM atomic.Bool
	// MLSD and MLST have worked before: a refusal concerns the path, not the command.
	mlsdWorks, mlstWorks         atomic.Bool
	mlsdPath, listPath, nlstPath pathUse
	// Whether SIZE refuses a directory, or accepts any path. Learned when it is asked for one.
	sizeIsOfFile, sizeIsOfAny atomic.Bool
	// noHiddenNames: the server can't rename, or refuses names that begin with a dot.
	noHiddenNames atomic.Bool
	noNOOP        atomic.Bool // during a transfer
	noTime        atomic.Bool // the server supports no command that sets the time of a file
	setsTime      atomic.Bool // the server has set the time of a file

	clock listClock // of the times in LIST

	// lockStep is set when the server lost commands that were sent in one write, or answered them
	// out of order, although it is in the table of batchers.
	lockStep atomic.Bool
}

// batchers are the servers that get several commands in one write if these do not depend on each
// other: FEAT with OPTS and PWD, PWD with CWD, PBSZ with PROT, TYPE with EPSV and REST, SIZE with
// MDTM, MFMT and RNFR, SIZE, MDTM or MLST with EPSV, and the commands of Stat. They also get the
// bytes of a small upload before their 150, which saves a round trip for each file (earlySize).
// RFC 959 §5.4 has a user-PI wait for each reply, and some servers lose a command that comes before
// its turn: IIS, MikroTik and MadGoat in some versions, and the npm package ftp-srv. So all other
// servers get one command at a time.
//
// Each entry was tested against the real server, and TestBatchers repeats that: 300 small files are
// uploaded and downloaded, in passive and in active mode, and no reply is lost or out of order.
// TestAgainstPeersUnderTLS does it for PBSZ with PROT. The versions were vsftpd 3.0.3, ProFTPD
// 1.3.8 and Pure-FTPd 1.0.50. Our own server is recognised by ftp.FeatureMiniftp.
var batchers = []struct {
	product  string
	greeting string // a part of its greeting, in lower case
}{
	{"vsftpd", "(vsftpd "},
	{"proftpd", "proftpd "},
	{"pure-ftpd", "welcome to pure-ftpd"},
}

// batches reports whether several commands may be sent to the server in one write.
func (c *Client) batches() bool {
	return !c.history.lockStep.Load() && (c.batcher || c.features.Has(ftp.FeatureMiniftp))
}

// isBatcher reports whether the greeting is that of a server in the table.
func isBatcher(greeting ftp.Reply) bool {
	text := strings.ToLower(greeting.Text())
	for _, b := range batchers {
		if strings.Contains(text, b.greeting) {
			return true
		}
	}
	return false
}
