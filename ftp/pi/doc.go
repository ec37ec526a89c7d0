// Package pi implements the protocol interpreter of a user (RFC 959 §2.2): one control connection, from
// dialing to the last reply. It sends commands, matches each reply to the command that it
// answers, turns on TLS, logs in, and reports all of that to an Observer. Package client is
// built on it. Programs that choose each command themselves can use it directly, for example
// to test or diagnose a server. Its counterpart is package dtp, which makes the data
// connections: together they are RFC 959's PI and DTP.
//
// Package pi does not decide which command comes next, and has no notion of files or data
// connections.
package pi
