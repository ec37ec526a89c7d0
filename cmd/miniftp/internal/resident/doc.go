// Package resident gives back memory that only the start of the program needed: the pages of its executable and
// libraries that were read to set up packages, flags, help and settings. The kernel maps a page again from its cache
// when it is needed. Calling Release after each step of the start limits the peak resident memory of a client to that
// of one step.
package resident
