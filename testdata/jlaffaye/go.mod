// A module of its own, so that users of miniftp never download what it is compared with.
module miniftp/testdata/jlaffaye

go 1.26.0

require (
	github.com/spf13/afero v1.15.0
	miniftp v0.0.0
)

require (
	github.com/jlaffaye/ftp v0.2.4
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
)

replace miniftp => ../..
