// Package client is the user-PI of FTP (RFC 959 §2.3): it dials a server, logs
// in, and moves files and listings over data connections that package dtp makes.
//
//	c, err := client.Dial(ctx, "127.0.0.1:2121", nil)
//	defer c.Close()
//	n, err := c.Retrieve(ctx, "/pub/a.bin", file)
//	for e, err := range c.List(ctx, "/pub") { … }
//
// A Client is one control connection and does one thing at a time. Every call
// takes a context first and ends soon after it does. A transfer counts as done
// only when the size, the end of the data and the final reply agree.
package client
