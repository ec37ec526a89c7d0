//go:build !race

package verbtest

const raceDetector = false
