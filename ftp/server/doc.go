// Package server is the server-PI (RFC 959 §2.3): it reads commands, answers
// them, and lets package dtp make the data connections.
//
// One goroutine owns a session. It reads lines, runs rows of the command table,
// and is the only one that writes replies; a transfer runs beside it and tells
// it, by waking it, what became of it.
//
// Verbs are rows of a table (table.go); FEAT, HELP, SITE HELP and the order in
// which a command is judged follow from the rows. Files are reached through an
// afero.Fs, which the session sees as a tree of virtual absolute paths.
package server
