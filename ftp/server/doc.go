// Package server implements the server side of FTP (the server-PI of RFC 959 §2.3). It reads commands and
// answers them; package dtp makes the data connections.
//
// One goroutine owns a session (life.go). It reads the lines, runs the commands, and is the only one that sends
// replies. A transfer, a login or a hash of a file runs beside it as a task (task.go), which wakes the owner
// when it has news.
//
// Each verb is a row of a table (table.go), from which FEAT, HELP, SITE HELP and the checks of a command are
// derived. Files are accessed through an afero.Fs, which the session sees as a tree of absolute virtual paths.
// Uploads are in upload.go and the files it names, limits on sessions in admit.go.
package server
