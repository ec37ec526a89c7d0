// Package fxp copies files directly from one server to another (FXP, RFC 959 §5.2). One of them is told to
// listen, and its address is passed to the other, which dials it: to the server that listens, the other is
// an ordinary client. The bytes do not pass through this program, unless the servers can't connect to each
// other and the copy is made Through it.
//
// It uses package client, and controls the two control connections itself (client.Client.Raw).
package fxp
