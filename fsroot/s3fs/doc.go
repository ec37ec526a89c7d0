// Package s3fs serves a bucket of an object store with the S3 protocol, or the part of one below a prefix, as a
// filesystem.
//
// [Open] returns a [Fs], which implements afero.Fs and the interfaces for storages of miniftp/ftp/server that fit
// an object store: UploadFs, SweepFs, ReadDirFs, RenameNewFs and MoveDirFs. It behaves like a disk as far as S3
// permits. The differences are:
//
//   - A file is written from its beginning to its end, or replaced, or appended to. Files open for reading and
//     writing, and writes to a position, are errors.ErrUnsupported, and so are Chmod, Chown and symlinks.
//   - A rename copies and then deletes, so it takes as long as the store needs to copy. Nobody sees a part of a
//     copy, but for a moment both names exist. Only a SeaweedFS filer renames directories by itself.
//   - An open file is read from the version that was opened. If it is replaced or removed meanwhile, the next
//     request fails with syscall.ESTALE.
//
// # Directories
//
// A directory exists if a key below it exists, or an empty object whose key is its path with a slash at the end.
// Mkdir makes such an object. So does the removal of the last file of a directory, so that a directory never
// disappears by itself. If a file and a directory have the same name, the file hides the directory.
//
// Keys that can't be paths are left out of listings, and [Fs.Skipped] counts them: those with an empty component,
// with "." or "..", with control characters, and those that are not UTF-8. The name ".miniftp" is reserved in
// every directory. Records of uploads are below it.
//
// # Uploads
//
// The bytes of an upload are kept in memory until there are enough for a part: 8 MiB for the first 1000 parts,
// then 16 MiB for 1000 parts, and so on. There are no temporary files. A file of one part is stored by a single
// request. A larger one is a multipart upload, which is invisible until it is complete. All uploads share a pool
// of memory (memory= in the URL). An upload of more than 256 KiB takes as much of it as its part has, or twice that if
// it is free, until it ends. When the pool is used up, further uploads wait, and so do the clients that send them.
// With 1 GiB, 128 clients can send large files at once.
//
// If an upload is interrupted, its complete parts can be resumed, also by another process, because a record in the
// bucket says to whom they belong. [Fs.SweepUploads] removes what is not resumed. A process that is killed between
// the beginning of a multipart upload and its record leaves one that nobody finds, so a rule of the bucket should
// abort multipart uploads that are older than the sweep's.
//
// An upload that is to be checked before it is visible (UploadOptions.Hold) becomes an object below .miniftp/held first,
// and the store copies it to its name later.
//
// Stores have to support conditional writes (If-None-Match, and If-Match), multipart uploads with parts of
// different sizes, and UploadPartCopy. [Fs.Probe] tests that. Cloudflare R2 requires parts of the same size, so
// uploads of more than 8 GiB, and resumed ones, fail there.
//
// # Connections
//
// Requests are signed, but with an http:// endpoint nothing is encrypted: use it only for a gateway on the same
// machine or in a trusted network.
package s3fs
