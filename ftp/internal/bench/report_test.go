package bench

import (
	"fmt"
	"os"
	"strings"
)

// block replaces the text between the markers of a name.
func block(old, name, text string) (string, error) {
	begin, end := "<!-- "+name+": begin -->\n", "<!-- "+name+": end -->"
	head, rest, ok := strings.Cut(old, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("no markers for %s", name)
	}
	return head + begin + strings.TrimRight(text, "\n") + "\n" + end + tail, nil
}

// writeBlock does the same in a file.
func writeBlock(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	made, err := block(string(old), name, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(made), 0o644)
}
