// Package client implements the client side of FTP (the user-PI of RFC 959 §2.3). It dials a
// server, logs in, and moves files and listings over data connections of package dtp.
//
//	c, err := client.Dial(ctx, "127.0.0.1:2121", nil)
//	defer c.Close()
//	n, err := c.Retrieve(ctx, "/pub/a.bin", file)
//	for e, err := range c.List(ctx, "/pub") { … }
//
// A Client is one control connection and does one operation at a time. Every method that uses
// the network takes a context and returns soon after the context ends. A transfer succeeds only
// if the size, the end of the data and the final reply agree.
package client
