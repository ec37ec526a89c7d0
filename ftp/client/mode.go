package client

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// TransferMode is the format of files on the data connection (RFC 959 §3.4).
type TransferMode uint8

// The transfer modes.
const (
	// AutoMode is stream mode. Many small files to or from a server that supports it share a
	// connection in block mode: see Pool.Parallel.
	AutoMode TransferMode = iota
	StreamMode
	// BlockMode keeps one data connection for all transfers (MODE B).
	BlockMode
	// DeflateMode compresses uploads and has the server compress downloads (MODE Z,
	// draft-preston-ftpext-deflate-04). It helps on lines that are slower than a processor
	// compresses.
	DeflateMode
)

// mode returns the transfer mode of everything except chains.
func (c *Client) mode() ftp.TransferMode {
	switch c.opts.TransferMode {
	case BlockMode:
		return ftp.Block
	case DeflateMode:
		return ftp.Deflate
	}
	return ftp.Stream
}

// setMode negotiates a transfer mode. An open or offered data connection for another mode is closed.
func (c *Client) setMode(ctx context.Context, m ftp.TransferMode) error {
	if c.pi.Params().Mode == m {
		return nil
	}
	c.dropOffer()
	c.data.Keep(nil)
	if level := c.opts.Level; m == ftp.Deflate && level > 0 {
		if _, err := c.do(ctx, "OPTS", "MODE Z LEVEL "+strconv.Itoa(level)); err != nil && !isReply(err) {
			return err // the server may refuse levels
		}
	}
	_, err := c.do(ctx, "MODE", m.String())
	return err
}

// staysInBlocks reports whether a short transfer may use the block mode that a chain has left set,
// if the server announces block mode.
func (c *Client) staysInBlocks() bool {
	return c.pi.Params().Mode == ftp.Block && c.opts.TransferMode == AutoMode && blocksAhead(c.features["MODE"])
}

// readyOpen is ready for a data connection that is open already: nothing is offered.
func (c *Client) readyOpen(ctx context.Context, j *job) error {
	if !j.anyType {
		if err := c.setType(ctx, j.typ); err != nil {
			return err
		}
	}
	if j.offset > 0 || c.pi.Machine().Pending == ftp.RestartAt {
		if _, err := c.do(ctx, "REST", itoa(j.offset)); err != nil {
			return err
		}
	}
	return nil
}

// keep stores the data connection that block mode left open for the next transfer. It is closed if
// the transfer failed in any other way than by a refusal.
func (c *Client) keep(conn *dtp.Conn, err error) {
	var no *ftp.Error
	if conn == nil {
		return
	}
	c.data.Keep(conn)
	if c.dead() || err != nil && !errors.As(err, &no) {
		c.data.Keep(nil)
	}
}

// aheadInBlocks is the feature of a server that closes the data connection in block mode when it
// refuses a store: bytes that were sent ahead can't end up in another file.
const aheadInBlocks = "B AHEAD"

// blocksAhead reports whether aheadInBlocks is among the parameters of the feature MODE.
func blocksAhead(params string) bool {
	return slices.Contains(strings.Split(params, ";"), aheadInBlocks)
}
