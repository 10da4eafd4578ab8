// Command exports prints how many names each package below a directory exports.
//
//	exports [DIRECTORY]
//
// It counts types, functions, methods of exported types, constants and variables, as they are built
// on this system. It leaves out test files, fields, methods of interfaces and package main.
package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// counts are the exported names of a package.
type counts struct{ types, functions, methods, values int }

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "types\tfunctions\tmethods\tconst, var\tall\t  package")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		c, err := count(path)
		if all := c.types + c.functions + c.methods + c.values; all > 0 {
			fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%d\t  %s\n",
				c.types, c.functions, c.methods, c.values, all, path)
		}
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "exports:", err)
		os.Exit(1)
	}
}

// count counts the exported names of the package in a directory.
func count(dir string) (c counts, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return c, err
	}
	for _, file := range files {
		built, err := build.Default.MatchFile(dir, filepath.Base(file))
		if err != nil {
			return c, err
		}
		if !built || strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return c, err
		}
		if f.Name.Name != "main" {
			c.add(f)
		}
	}
	return c, nil
}

func (c *counts) add(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			switch {
			case !d.Name.IsExported():
			case d.Recv == nil:
				c.functions++
			case ast.IsExported(receiver(d.Recv.List[0].Type)):
				c.methods++
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				c.addSpec(s)
			}
		}
	}
}

func (c *counts) addSpec(s ast.Spec) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			c.types++
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				c.values++
			}
		}
	}
}

// receiver returns the name of a method's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}
