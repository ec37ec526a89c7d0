package client

import (
	"context"

	"miniftp/ftp"
)

// DialURL is Dial for the server that a URL names, such as
// "ftps://alice:secret@ftp.example.com/pub": ftp, ftpes (TLS by AUTH) or ftps (TLS first). The
// URL's user, password and TLS take the place of those of the Options; its path, if it has
// one, becomes the current directory. For the rules see ftp.ParseURL; no error shows the
// password.
func DialURL(ctx context.Context, url string, o *Options) (*Client, error) {
	u, err := ftp.ParseURL(url)
	if err != nil {
		return nil, err
	}
	c, err := Dial(ctx, u.Addr, o.For(u))
	if err != nil || u.Path == "" {
		return c, err
	}
	if err := c.ChangeDir(ctx, u.Path); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// For returns a copy of the Options, which may be nil, with the user, the password and the
// TLS that a URL asks for: for a Pool, or a Dial that leaves the directory alone.
func (o *Options) For(u *ftp.URL) *Options {
	var of Options
	if o != nil {
		of = *o
	}
	if u.User != "" {
		of.User = u.User
	}
	if u.HasPassword {
		of.Password = u.Password
	}
	switch u.Scheme {
	case "ftpes":
		of.TLS = ExplicitTLS
	case "ftps":
		of.TLS = ImplicitTLS
	}
	return &of
}
