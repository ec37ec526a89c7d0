package client

import (
	"context"

	"miniftp/ftp"
)

// DialURL is like Dial for the server in a URL such as "ftps://alice:secret@ftp.example.com/pub". The
// schemes are ftp, ftpes (explicit TLS) and ftps (implicit TLS). User, password and TLS of the URL replace
// those of the Options. Its path, if any, becomes the current directory. See ftp.ParseURL for the
// syntax. No error shows the password.
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

// For returns a copy of the Options, which may be nil, with the user, password and TLS of a URL. It is for
// a Pool, or a Dial that does not change the directory.
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
