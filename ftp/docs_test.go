package ftp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// testsOf returns the tests and fuzz targets of the module, with the names that docs/security.md
// uses: the name of the directory and that of the function.
func testsOf(t *testing.T, root fs.FS) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := fs.WalkDir(root, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				found[path.Base(path.Dir(name))+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestSecurityDoc checks that docs/security.md names tests for every class, and that they exist.
func TestSecurityDoc(t *testing.T) {
	tree := os.DirFS("..")
	doc, err := fs.ReadFile(tree, "docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "<!-- classes: begin -->\n")
	table, _, end := strings.Cut(table, "<!-- classes: end -->")
	if !ok || !end {
		t.Fatal("docs/security.md has no table of classes between its markers")
	}
	tests := testsOf(t, tree)
	named := regexp.MustCompile("`([a-z]+\\.(?:Test|Fuzz)[A-Za-z0-9_]+)`")
	classes := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			t.Errorf("%d cells in %s", len(cells), line)
			continue
		}
		class := strings.TrimSpace(cells[0])
		if class == "class" || strings.HasPrefix(class, "---") {
			continue
		}
		classes++
		all := named.FindAllStringSubmatch(cells[3], -1)
		if rest := strings.TrimSpace(named.ReplaceAllString(cells[3], "")); len(all) == 0 || rest != "" {
			t.Errorf("%s: %d tests, and the text %q, which is not a test", class, len(all), rest)
		}
		for _, m := range all {
			if !tests[m[1]] {
				t.Errorf("%s: %s does not exist", class, m[1])
			}
		}
	}
	if classes < 30 {
		t.Errorf("found only %d classes", classes)
	}
}
