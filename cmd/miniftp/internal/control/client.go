package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Client talks to a server over its socket.
type Client struct {
	path string
	http *http.Client
}

// answerTime limits how long a server takes for an answer that waits for nothing.
const answerTime = 30 * time.Second

// Dial returns a client of the server whose socket is at path or, if that is empty, of the only server that runs. It is
// an error if no server answers.
func Dial(ctx context.Context, path string) (*Client, error) {
	if path == "" {
		found, err := Find()
		switch {
		case err != nil:
			return nil, err
		case len(found) == 0:
			return nil, failed(verb.ExitConnect, "%v: miniftp serve runs as another user, with --control off, or not at all (--socket names its socket)", ErrNoServer)
		case len(found) > 1:
			return nil, verb.Usagef("%d servers run here; choose one with\n  --socket %s", len(found), strings.Join(found, "\n  --socket "))
		}
		path = found[0]
	}
	c := &Client{path: path}
	c.http = &http.Client{Transport: &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, c.problem(err)
	}
	_ = conn.Close()
	return c, nil
}

// problem returns an error about the socket.
func (c *Client) problem(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, new(*Error)):
		return err
	case isRefused(err):
		return failed(verb.ExitConnect, "%s: no server answers on this socket", ftp.Printable(c.path))
	case errors.Is(err, fs.ErrNotExist):
		return failed(verb.ExitConnect, "%s: there is no such socket", ftp.Printable(c.path))
	case errors.Is(err, fs.ErrPermission):
		return failed(verb.ExitLocal, "%s: permission denied: only the user who runs the server, or root, may use its socket", ftp.Printable(c.path))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failed(verb.ExitConnect, "%s: the server has ended", ftp.Printable(c.path))
	}
	return failed(verb.ExitConnect, "%s: %v", ftp.Printable(c.path), verb.Cause(err))
}

// do sends a request and decodes the answer into v.
func (c *Client) do(ctx context.Context, method, path string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://miniftp"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return c.problem(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var no refusal
		if json.NewDecoder(resp.Body).Decode(&no) != nil || no.Error == "" {
			no = refusal{fmt.Sprintf("%s: the server answers %s", c.path, resp.Status), verb.ExitFailure}
		}
		return &Error{no.Error, no.Exit}
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return c.problem(err)
	}
	return nil
}

// ask is like do, for requests that are answered soon.
func ask[V any](ctx context.Context, c *Client, method, path string, body any) (v V, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, failed(verb.ExitConnect, "%s: the server does not answer", c.path))
	defer cancel()
	if err = c.do(ctx, method, path, body, &v); err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	return v, err
}

// About returns what the server says about itself.
func (c *Client) About(ctx context.Context) (About, error) {
	return ask[About](ctx, c, http.MethodGet, serverPath, nil)
}

// Sessions returns the sessions of the server.
func (c *Client) Sessions(ctx context.Context) ([]sessions.Info, error) {
	return ask[[]sessions.Info](ctx, c, http.MethodGet, sessionsPath, nil)
}

// Kick ends sessions and returns those that it has ended.
func (c *Client) Kick(ctx context.Context, w Which) ([]sessions.Info, error) {
	return ask[[]sessions.Info](ctx, c, http.MethodPost, kickPath, w)
}

// Drain makes the server admit no new sessions, and returns when the last one has ended.
func (c *Client) Drain(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, drainPath, nil, &struct{}{})
}

// Reload makes the server read its settings again.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	err := c.do(ctx, http.MethodPost, reloadPath, nil, &r)
	return r, err
}

// Bans returns the bans in force.
func (c *Client) Bans(ctx context.Context) ([]Ban, error) {
	return ask[[]Ban](ctx, c, http.MethodGet, bansPath, nil)
}

// Ban adds a ban. Its Until is ignored.
func (c *Client) Ban(ctx context.Context, b Ban, d time.Duration) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, bansPath, banOrder{b, d.Seconds()})
	return err
}

// Unban lifts a ban.
func (c *Client) Unban(ctx context.Context, b Ban) error {
	_, err := ask[struct{}](ctx, c, http.MethodDelete, bansPath, banOrder{Ban: b})
	return err
}

// Events calls got with each event, as a line of JSON: the recent ones or, if follow is set, those from now on, until the
// server or ctx ends.
func (c *Client) Events(ctx context.Context, follow bool, got func(line []byte) error) error {
	path := eventsPath
	if follow {
		path += "?follow=1"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://miniftp"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return c.problem(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return failed(verb.ExitFailure, "%s: the server answers %s", c.path, resp.Status)
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case err == nil:
			if err := got(line); err != nil {
				return err
			}
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		default:
			return c.problem(err)
		}
	}
}

// endTime limits how long AwaitEnd waits for a server that has no sessions any more.
const endTime = 15 * time.Second

// AwaitEnd waits until no server answers on the socket.
func (c *Client) AwaitEnd(ctx context.Context) error {
	for end := time.Now().Add(endTime); answers(c.path); {
		if time.Now().After(end) {
			return failed(verb.ExitFailure, "the last session has ended, but the server still runs")
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
