package server

import "github.com/spf13/afero"

func (l *looker) fastDir(afero.File, string, rights) dirReader { return nil }
