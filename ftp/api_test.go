package ftp_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files of testdata/api anew")

// TestAPI compares the exported declarations of the libraries with testdata/api, so that no
// change to the API goes unnoticed. After an intended change, run go test ./ftp -update.
func TestAPI(t *testing.T) {
	for _, dir := range importable(t) {
		name := strings.ReplaceAll(filepath.ToSlash(dir), "/", ".")
		got := exported(t, dir)
		file := filepath.Join("..", "testdata", "api", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		was, is := set(string(b)), set(got)
		for line := range was {
			if !is[line] {
				t.Errorf("%s: gone: %s", name, line)
			}
		}
		for line := range is {
			if !was[line] {
				t.Errorf("%s: new: %s", name, line)
			}
		}
	}
}

// importable returns the packages of the library, as directories below the module's root.
func importable(t *testing.T) (dirs []string) {
	t.Helper()
	for _, root := range []string{"ftp", "fsroot"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Name() == "internal" || d.Name() == "testdata":
				return fs.SkipDir
			case !d.IsDir():
				return nil
			}
			if files, _ := filepath.Glob(filepath.Join(path, "*.go")); len(files) > 0 {
				dirs = append(dirs, strings.TrimPrefix(path, ".."+string(filepath.Separator)))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

func set(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		all[strings.TrimSpace(line)] = true
	}
	return all
}

// exported returns the exported declarations of a package, each on one line.
func exported(t *testing.T, dir string) string {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(fset, files, "miniftp/"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	values := func(kind string, all []*doc.Value) {
		for _, v := range all {
			for _, name := range v.Names {
				if token.IsExported(name) {
					fmt.Fprintf(&b, "%s %s\n", kind, name)
				}
			}
		}
	}
	funcs := func(all []*doc.Func) {
		for _, f := range all {
			f.Decl.Doc, f.Decl.Body = nil, nil
			fmt.Fprintln(&b, source(t, fset, f.Decl))
		}
	}
	values("const", p.Consts)
	values("var", p.Vars)
	funcs(p.Funcs)
	for _, typ := range p.Types {
		for _, spec := range typ.Decl.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
				declared(t, &b, fset, s)
			}
		}
		values("const", typ.Consts)
		values("var", typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
	}
	return b.String()
}

// declared returns the declaration of a type. A struct or an interface has a line for each member.
func declared(t *testing.T, b *strings.Builder, fset *token.FileSet, s *ast.TypeSpec) {
	t.Helper()
	var members *ast.FieldList
	switch u := s.Type.(type) {
	case *ast.StructType:
		fmt.Fprintf(b, "type %s struct\n", s.Name)
		members = u.Fields
	case *ast.InterfaceType:
		fmt.Fprintf(b, "type %s interface\n", s.Name)
		members = u.Methods
	default:
		alias := ""
		if s.Assign.IsValid() {
			alias = "= "
		}
		fmt.Fprintf(b, "type %s %s%s\n", s.Name, alias, source(t, fset, s.Type))
		return
	}
	for _, f := range members.List {
		text := source(t, fset, f.Type)
		if len(f.Names) == 0 {
			fmt.Fprintf(b, "\t%s: %s\n", s.Name, text)
		}
		for _, name := range f.Names {
			if name.IsExported() {
				fmt.Fprintf(b, "\t%s: %s %s\n", s.Name, name, text)
			}
		}
	}
}

// source returns a declaration on one line.
func source(t *testing.T, fset *token.FileSet, node any) string {
	t.Helper()
	var b bytes.Buffer
	if err := printer.Fprint(&b, fset, node); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
