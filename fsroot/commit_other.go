//go:build !linux

package fsroot

import "errors"

func (*Root) renameExclusive(string, string) error { return errors.ErrUnsupported }
