// Package ftp is the language that both ends of FTP speak: commands, replies,
// addresses, listings and the state machine of a control connection. It holds
// values only and does no input or output but framing lines, so server and
// client can share every word of it.
//
// Implemented, in both directions (parse and format):
//
//   - RFC 959   commands, replies, PORT and 227, 257, LIST lines, the machine
//   - RFC 854   Telnet's IAC and Synch on the control connection
//   - RFC 1123  §4.1, the corrections to RFC 959
//   - RFC 2228  PBSZ and PROT levels (names only)
//   - RFC 2389  FEAT and OPTS
//   - RFC 2428  EPRT, EPSV and 229
//   - RFC 2640  UTF-8 names, byte for byte
//   - RFC 3659  MDTM time-val, SIZE, MLSx facts
//   - RFC 7151  HOST
package ftp
