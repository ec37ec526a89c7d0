// Package ftptest starts an FTP server for a test in one line, as
// net/http/httptest does for HTTP:
//
//	srv := ftptest.NewServer(t, afero.NewMemMapFs())
//	srv.Fail("RETR", ftptest.CutAfter(1<<20).Times(1))
//	err := myapp.Fetch(srv.URL + "/big.bin")
//
// The server is that of package server. It listens on loopback and serves any
// afero filesystem. Clients connect to a relay in front of it, which understands
// the protocol. The relay makes all faults, so the server contains no code for
// tests.
//
// # Faults
//
// Fail and the option WithFault choose a command, what goes wrong with it and how often.
//
//   - Faults of a reply: Reply, Refuse, Silence, HangUp, Delay, LoseReply, EarlyReply and
//     IgnoreREST.
//   - Faults of a data connection: CutAfter, ShortAfter, StallAfter and Slow.
//   - Faults in opening a data connection: Lie, Announce, SwallowCalls and NoCall.
//
// The methods Times, Skip and Connection limit a fault to some of the commands. The options
// WithLatency and WithRate apply to all connections.
//
// # Products
//
// Like makes the server reply, list and refuse like vsftpd, ProFTPD, Pure-FTPd, pyftpdlib or
// IIS:
//
//	srv := ftptest.NewServer(t, fs, ftptest.Like(ftptest.VSFTPD()))
//
// The first four follow recordings of the real servers, which are in the directory
// testdata/products; a test compares them. A Product does not imitate the choice of facts by
// OPTS MLST, EPSV with a protocol, SITE commands other than CHMOD, and the texts of HELP and of
// STAT without a path.
//
// # Recordings
//
// A Script is a recorded conversation. Play runs it against a server, and PlayClient runs the
// same script against a client.
package ftptest
