package client

// Renamed has an Upload rename the file once it is whole, as Mirror may.
func Renamed(o FileOptions, to string) FileOptions {
	o.rename = to
	return o
}
