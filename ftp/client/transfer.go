package client

import (
	"context"
	"io"
	"time"

	"miniftp/ftp"
)

// Transfer says more about a transfer than its path.
type Transfer struct {
	Path string
	// Offset is where in the file to begin (REST, RFC 3659 §5). A server that
	// refuses it gives an *ftp.Error whose Verb is REST. A server that ignores it
	// is not noticed here; Download and Upload do.
	Offset int64
	// Size is the expected size of the whole file in bytes. 0 or -1: unknown; the
	// server is asked before a retrieve, if it knows SIZE. A retrieve takes no more bytes.
	Size int64
	// ASCII makes lines end in CRLF on the wire and LF at either end. Sizes can't
	// be compared then.
	ASCII bool
	// Progress is told now and then how far the transfer is: bytes of the file
	// done and in total, -1 if unknown. It runs in another goroutine.
	Progress func(done, total int64)
}

// Result is how a transfer went.
type Result struct {
	Bytes int64         // that went over the data connection
	Took  time.Duration // from the opened data connection to the final reply
	Mode  ftp.DataMode
	Final ftp.Reply
	// Verified is what agreed: "size and reply", "reply" where the size is not known, or
	// "size" if the file has grown and only the bytes that were announced were taken.
	Verified string

	cutShort bool // TLS did not end as it should
}

// Retrieve copies the file at path to dst and returns the number of bytes. Give
// an *os.File bare, so that the kernel can move the bytes. An error means that
// the file is not whole: an *ftp.Error if the server refused, a *TruncatedError,
// ErrUnconfirmed, or a *LocalError from dst.
func (c *Client) Retrieve(ctx context.Context, path string, dst io.Writer) (int64, error) {
	res, err := c.RetrieveWith(ctx, Transfer{Path: path}, dst)
	return res.Bytes, err
}

// RetrieveWith is Retrieve with an offset, a size, a type or a progress function.
func (c *Client) RetrieveWith(ctx context.Context, t Transfer, dst io.Writer) (Result, error) {
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	return c.retrieve(ctx, t, &job{sink: dst})
}

// retrieve fills in the rest of j, which has a sink, and runs it.
func (c *Client) retrieve(ctx context.Context, t Transfer, j *job) (Result, error) {
	if err := sendable(t.Path); err != nil {
		return Result{}, err
	}
	j.take("RETR", ftp.Retrieve, t)
	if j.want < 0 && !t.ASCII {
		var err error
		if j.want, _, err = c.look(ctx, t.Path, false); err != nil {
			return Result{}, err
		}
	}
	return c.transfer(ctx, j)
}

// Store copies src to the file at path, replacing it, and returns the number of
// bytes. Give an *os.File bare, so that the kernel can move the bytes. When ctx
// ends while src blocks in a Read, Store returns without waiting for it.
func (c *Client) Store(ctx context.Context, path string, src io.Reader) (int64, error) {
	res, err := c.StoreWith(ctx, Transfer{Path: path}, src)
	return res.Bytes, err
}

// StoreWith is Store with an offset, a size, a type or a progress function. With
// an Offset src holds what belongs there; the bytes before it stay as they are.
func (c *Client) StoreWith(ctx context.Context, t Transfer, src io.Reader) (Result, error) {
	return c.storeAs(ctx, "STOR", t, src)
}

// Append adds src to the end of the file at path, which is made if missing (APPE).
func (c *Client) Append(ctx context.Context, path string, src io.Reader) (int64, error) {
	res, err := c.storeAs(ctx, "APPE", Transfer{Path: path}, src)
	return res.Bytes, err
}

// StoreUnique copies src to a new file whose name the server chooses (STOU); path
// is a hint, "" for none. name is what the server says it chose (RFC 1123
// §4.1.2.9), "" if it doesn't say.
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

// store fills in the rest of j, which has a source, and runs it.
func (c *Client) store(ctx context.Context, verb string, t Transfer, j *job) (Result, error) {
	j.take(verb, ftp.Store, t)
	return c.transfer(ctx, j)
}
