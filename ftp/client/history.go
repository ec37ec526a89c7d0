package client

import (
	"strings"
	"sync/atomic"

	"miniftp/ftp"
)

// history is what connections to one server have learned about it. The connections of a
// Pool share it, so that it outlives each of them. The zero value knows nothing yet.
type history struct {
	noEPSV atomic.Bool // it was refused, or its ports can't be reached
	noEPRT atomic.Bool
	noMLSD atomic.Bool
	noMLST atomic.Bool
	noSIZE atomic.Bool
	noMDTM atomic.Bool
	// MLSD and MLST have worked: their refusals are about a path, not about the command.
	mlsdWorks, mlstWorks         atomic.Bool
	mlsdPath, listPath, nlstPath pathUse
	// SIZE refuses a directory, or does not, once it was asked for one.
	sizeIsOfFile, sizeIsOfAny atomic.Bool
	// noBeside: it does not rename, or refuses names that begin with a dot.
	noBeside atomic.Bool
	noNOOP   atomic.Bool // during a transfer
	noTime   atomic.Bool // it knows no command that sets the time of a file
	setsTime atomic.Bool // it has set one

	clock listClock // of the times in LIST

	// lockStep is set when the server lost, or answered out of turn, commands that came in
	// one write, although it is in the table of batchers.
	lockStep atomic.Bool
}

// batchers are the servers to which commands that do not depend on each other are sent in
// one write: FEAT with OPTS and PWD, PWD with CWD, PBSZ with PROT, TYPE with EPSV and REST,
// SIZE with MDTM, MFMT and RNFR, SIZE, MDTM or MLST with EPSV, and what Stat asks. They also
// get the bytes of a small upload before their 150, which saves a round trip for each file
// (earlySize). RFC 959 §5.4 has a user-PI wait for each reply, and there are servers that
// lose a command that comes before its turn (IIS, MikroTik and MadGoat in some versions,
// and the npm package ftp-srv). So everyone else gets one command at a time.
//
// Each entry was measured against the real server, and TestBatchers does it again: 300
// small files go there and back, in passive and in active mode, and no reply is lost or out
// of turn. TestAgainstPeersUnderTLS does it for PBSZ with PROT. That was with vsftpd 3.0.3,
// ProFTPD 1.3.8 and Pure-FTPd 1.0.50. Our own server is known by ftp.FeatureMiniftp.
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

// isBatcher reports whether a server with that greeting is in the table.
func isBatcher(greeting ftp.Reply) bool {
	text := strings.ToLower(greeting.Text())
	for _, b := range batchers {
		if strings.Contains(text, b.greeting) {
			return true
		}
	}
	return false
}
