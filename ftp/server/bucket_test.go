package server_test

import (
	"crypto/tls"
	"path/filepath"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot/s3fs"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
	"miniftp/internal/s3peer"
)

// bucketPart is the size of a part of an upload to a bucket.
const bucketPart = 8 << 20

// openBucket starts an object store and returns its bucket, and the host directory in which that store keeps its
// objects. The bucket keeps connections for later, so from then on the test is one whose leaks only leftBehind finds.
func openBucket(t *testing.T) (afero.Fs, string) {
	t.Helper()
	leavesToTheEnd(t)
	g := s3peer.Start(t, t.TempDir())
	files, err := s3fs.Open(t.Context(), g.URL("", "&times=exact"), &s3fs.Options{AccessKey: s3peer.AccessKey, SecretKey: s3peer.SecretKey})
	check(t, err)
	t.Cleanup(func() { check(t, files.Close()) })
	return files, filepath.Join(g.Dir, s3peer.Bucket)
}

// Stock clients work over a bucket with TLS, too, with files of less and more than one part.
func TestTLSBucket(t *testing.T) {
	parallel(t)
	files, dir := openBucket(t)
	s := newSecureStockOver(t, files, dir, tls.VersionTLS13, dtp.ReusePrefer)
	for name, c := range map[string]*tlsClient{"curl": curlTLS(), "lftp": lftpTLS(), "ftplib": ftplibTLS(true)} {
		t.Run(name, func(t *testing.T) {
			for _, active := range []bool{false, true} {
				if active && !c.active {
					continue
				}
				c.transfers(s.open(t, peers.Client(t, c.program), false, active), []int{0, 64<<10 + 1, bucketPart + 1})
			}
		})
	}
}
