// Package ftp parses and formats what travels over an FTP control connection:
// commands, replies, addresses and listings. It also holds the state machine
// of a control connection, and the events that clients and servers report.
// Server and client share all of it. The package does no input or output,
// except that LineReader reads lines from a reader that it is given.
//
// The following is implemented in both directions, parsing and formatting:
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
