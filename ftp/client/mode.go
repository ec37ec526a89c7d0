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

// TransferMode is how a Client has files laid on the data connection (RFC 959 §3.4).
type TransferMode uint8

// The transfer modes.
const (
	// AutoMode is stream mode, and blocks for many small files to or from a server that
	// has them: see Pool.Parallel.
	AutoMode TransferMode = iota
	StreamMode
	// BlockMode keeps one data connection for all transfers (MODE B).
	BlockMode
	// DeflateMode compresses what is sent and has the server compress what it sends
	// (MODE Z, draft-preston-ftpext-deflate-04), for lines that are slower than a
	// processor.
	DeflateMode
)

// mode is the transfer mode of everything but chains.
func (c *Client) mode() ftp.TransferMode {
	switch c.opts.TransferMode {
	case BlockMode:
		return ftp.Block
	case DeflateMode:
		return ftp.Deflate
	}
	return ftp.Stream
}

// setMode agrees on a transfer mode. What stands or was offered for another one goes.
func (c *Client) setMode(ctx context.Context, m ftp.TransferMode) error {
	if c.pi.Params().Mode == m {
		return nil
	}
	c.dropOffer()
	c.data.Keep(nil)
	if level := c.opts.Level; m == ftp.Deflate && level > 0 {
		if _, err := c.do(ctx, "OPTS", "MODE Z LEVEL "+strconv.Itoa(level)); err != nil && !isReply(err) {
			return err // that it has levels is not promised
		}
	}
	_, err := c.do(ctx, "MODE", m.String())
	return err
}

// staysInBlocks reports whether something short may stay in the block mode that a chain
// has left: at a server that says of itself that it has it.
func (c *Client) staysInBlocks() bool {
	return c.pi.Params().Mode == ftp.Block && c.opts.TransferMode == AutoMode && blocksAhead(c.features["MODE"])
}

// readyStanding is ready for a data connection that stands: there is nothing to offer.
func (c *Client) readyStanding(ctx context.Context, j *job) error {
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

// keep takes what block mode has left of a transfer, for the next one.
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

// aheadInBlocks is the feature of a server that ends the data connection of block mode
// when a store is refused: what was sent ahead does not become another file's.
const aheadInBlocks = "B AHEAD"

// blocksAhead reports whether that is among the parameters of the feature MODE.
func blocksAhead(params string) bool {
	return slices.Contains(strings.Split(params, ";"), aheadInBlocks)
}
