//go:build race

package verbtest

const raceDetector = true
