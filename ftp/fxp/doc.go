// Package fxp copies files from one server to another (FXP): the address that one of them
// listens on is relayed to the other, so that the bytes never come here. It is the role
// reversal of FTP seen from the third corner: to the server that listens, the other one is the
// client that dials. Where the servers won't talk to each other, a copy can go through this
// program instead.
//
// It stands on package client, and leads the two control connections by hand (client.Client.Raw).
package fxp
