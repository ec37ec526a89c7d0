package main

import "os"

// closedAtStart: reading from a closed file is an error on Windows.
func closedAtStart(*os.File) bool { return false }
