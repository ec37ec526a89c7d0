// Package ftptest gives tests an FTP server in one line, as net/http/httptest
// gives them an HTTP server:
//
//	srv := ftptest.NewServer(t, afero.NewMemMapFs())
//	srv.Fail("RETR", ftptest.CutAfter(1<<20).Times(1))
//	err := myapp.Fetch(srv.URL + "/big.bin")
//
// The server is the real one of package server, on loopback, over any afero
// filesystem. Between it and the client is a relay that knows the protocol:
// it makes the faults, so the server under test has no code for tests in it.
//
// # Faults
//
// Fail, or the option WithFault, says which command goes wrong, how and how often. There
// are faults of a reply (Reply, Refuse, Silence, HangUp, Delay, LoseReply, EarlyReply), of
// a data connection (CutAfter, ShortAfter, StallAfter, Slow) and of how data connections
// come about (Lie, Announce, SwallowCalls, NoCall). Times, Skip and Connection choose among
// the commands. WithLatency and WithRate are for all that goes over the network.
//
// # Products
//
// Like makes the server answer, list and refuse as vsftpd, ProFTPD, Pure-FTPd, pyftpdlib or
// IIS do:
//
//	srv := ftptest.NewServer(t, fs, ftptest.Like(ftptest.VSFTPD()))
//
// The first four were measured; the directory testdata/products holds what each said, and a
// test compares. What a Product does not imitate: the facts that OPTS MLST chose, EPSV with
// a protocol, SITE other than CHMOD, and texts of HELP and STAT without a path.
//
// # Recordings
//
// Play runs a recorded conversation against a server, and PlayClient the same
// recording against a client.
package ftptest
