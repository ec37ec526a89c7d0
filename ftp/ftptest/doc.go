// Package ftptest gives tests an FTP server in one line, as net/http/httptest
// gives them an HTTP server:
//
//	srv := ftptest.NewServer(t, afero.NewMemMapFs())
//	srv.Fail("RETR", ftptest.CutAfter(1<<20))
//	err := myapp.Fetch(srv.URL + "/big.bin")
//
// The server is the real one of package server, on loopback, over any afero
// filesystem. Between it and the client stands a relay that knows the protocol:
// it makes the faults, so what is tested is never a server with holes in it.
//
// Play runs a recorded conversation against a server, and PlayClient the same
// recording against a client.
package ftptest
