// Package dtp is the data transfer process (RFC 959 §2.3): the data connection
// that both ends make, and the bytes that go over it. Server and client use the
// same Manager: who listens and who dials is its argument, not its type.
//
//	          listens             dials               the address travels as
//	active    user   Listen       server Dial         PORT or EPRT
//	passive   server Listen       user   Dial         227 or 229
//
// A Manager offers one Opener at a time; Take hands it over exactly once; Run
// opens the data connection, moves the bytes of a Job and closes it.
package dtp
