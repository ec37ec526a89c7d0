// Package pi is the user's protocol interpreter (RFC 959 §2.2): one control connection, from
// the dialing to the last reply. It sends commands, matches each reply to the command that it
// answers, puts the connection under TLS, logs in, and tells an Observer all of it. Package
// client stands on it, and whoever has to choose each command by hand may use it directly: a
// test of a server, a diagnosis, a load. It is the twin of package dtp, which makes the data
// connections: RFC 959's pair of PI and DTP.
//
// It does not decide which command comes next, and knows nothing of files and of data
// connections.
package pi
