package client

import (
	"context"
	"io"
	"time"

	"miniftp/ftp"
)

// Transfer describes a transfer in more detail than a path.
type Transfer struct {
	Path string
	// Offset is the position in the file at which to begin (REST, RFC 3659 §5). If the server
	// refuses it, the error is an *ftp.Error whose Verb is REST. A server that accepts REST but
	// ignores it goes unnoticed here; Download and Upload detect it.
	Offset int64
	// Size is the expected size of the whole file in bytes. If it is 0 or -1, a retrieve asks
	// the server for it (SIZE). A retrieve takes no more bytes than that.
	Size int64
	// ASCII transfers text: lines end in CRLF on the wire and in LF on both sides. Sizes can't
	// be compared then.
	ASCII bool
	// Progress is called from time to time with the number of bytes of the file that are done,
	// and their total, -1 if unknown. It runs in another goroutine.
	Progress func(done, total int64)
}

// Result describes how a transfer went.
type Result struct {
	Bytes int64         // moved over the data connection
	Took  time.Duration // from the open data connection to the final reply
	Mode  ftp.DataMode
	Final ftp.Reply
	// Verified names what agreed: "size and reply"; "reply" if the size is not known; or "size"
	// if the file has grown and only the announced number of bytes was taken.
	Verified string

	cutShort bool // TLS ended without close_notify
}

// Retrieve copies the file at path to dst and returns the number of bytes. Pass an *os.File
// unwrapped, so that the kernel can move the bytes. If the file is not whole, the error is an
// *ftp.Error if the server refused, a *TruncatedError, ErrUnconfirmed, or a *LocalError from dst.
func (c *Client) Retrieve(ctx context.Context, path string, dst io.Writer) (int64, error) {
	res, err := c.RetrieveWith(ctx, Transfer{Path: path}, dst)
	return res.Bytes, err
}

// RetrieveWith is like Retrieve with an offset, a size, a type or a progress function.
func (c *Client) RetrieveWith(ctx context.Context, t Transfer, dst io.Writer) (Result, error) {
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	return c.retrieve(ctx, t, &job{sink: dst})
}

// retrieve fills in the rest of j, whose sink is set, and runs it.
func (c *Client) retrieve(ctx context.Context, t Transfer, j *job) (Result, error) {
	if err := sendable(t.Path); err != nil {
		return Result{}, err
	}
	j.fill("RETR", ftp.Retrieve, t)
	if j.want < 0 && !t.ASCII {
		var err error
		if j.want, _, err = c.look(ctx, t.Path, false); err != nil {
			return Result{}, err
		}
	}
	return c.transfer(ctx, j)
}

// Store copies src to the file at path, replacing it, and returns the number of bytes. Pass an
// *os.File unwrapped, so that the kernel can move the bytes. If ctx ends while a Read of src
// blocks, Store returns without waiting for it.
func (c *Client) Store(ctx context.Context, path string, src io.Reader) (int64, error) {
	res, err := c.StoreWith(ctx, Transfer{Path: path}, src)
	return res.Bytes, err
}

// StoreWith is like Store with an offset, a size, a type or a progress function. With an Offset,
// src holds the bytes from there on; the server keeps the bytes before it.
func (c *Client) StoreWith(ctx context.Context, t Transfer, src io.Reader) (Result, error) {
	return c.storeAs(ctx, "STOR", t, src)
}

// Append adds src to the end of the file at path (APPE). The server creates the file if it does
// not exist.
func (c *Client) Append(ctx context.Context, path string, src io.Reader) (int64, error) {
	res, err := c.storeAs(ctx, "APPE", Transfer{Path: path}, src)
	return res.Bytes, err
}

// StoreUnique copies src to a new file whose name the server chooses (STOU). path is a suggestion
// and may be empty. name is the name that the server reports (RFC 1123 §4.1.2.9), "" if it reports
// none.
func (c *Client) StoreUnique(ctx context.Context, path string, src io.Reader) (name string, n int64, err error) {
	if err := c.begin(); err != nil {
		return "", 0, err
	}
	defer c.end()
	j := &job{source: src}
	res, err := c.store(ctx, "STOU", Transfer{Path: path}, j)
	return uniqueName(j.began, res.Final), res.Bytes, err
}

func (c *Client) storeAs(ctx context.Context, verb string, t Transfer, src io.Reader) (Result, error) {
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	return c.store(ctx, verb, t, &job{source: src})
}

// store fills in the rest of j, whose source is set, and runs it.
func (c *Client) store(ctx context.Context, verb string, t Transfer, j *job) (Result, error) {
	j.fill(verb, ftp.Store, t)
	return c.transfer(ctx, j)
}
