// Package dtp implements the data transfer process (RFC 959 §2.3): it makes data connections and moves
// bytes over them. Server and client use the same Manager, and each calls Listen or Dial, depending
// on the mode:
//
//	          listens             dials               the address is sent as
//	active    user   Listen       server Dial         PORT or EPRT
//	passive   server Listen       user   Dial         227 or 229
//
// A transfer has three steps. Listen or Dial makes an offer, which the Manager holds. Take hands its Opener
// over, exactly once. Run opens the data connection, moves the bytes of a Job and closes the
// connection.
package dtp
