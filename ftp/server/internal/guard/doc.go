// Package guard protects a server from clients that ask for too much. Logins slows down and bans clients that
// guess passwords. Queue shares out the work that costs processor time fairly. Origin and Site define which
// addresses count as one client.
package guard
