// Command reference writes the reference pages of the client's packages as HTML. Run it in the module's root:
//
//	go run ./internal/reference ../../build/docs/go
package main

import (
	"bytes"
	_ "embed"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/format"
	"go/parser"
	"go/token"
	"html/template"
	"log"
	"os"
	"path/filepath"
	"strings"
)

const module = "github.com/runsvc/runsvc/clients/go"

// pages maps the import path of each package to its page.
var pages = map[string]string{
	module:                "index.html",
	module + "/runsvc/v1": "v1.html",
}

//go:embed page.html
var layout string

// page is a package with its source positions and comment printer.
type page struct {
	*doc.Package
	files *token.FileSet
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: reference DIRECTORY")
	}
	if err := os.MkdirAll(os.Args[1], 0o777); err != nil {
		log.Fatal(err)
	}
	for path, name := range pages {
		if err := write(path, filepath.Join(os.Args[1], name)); err != nil {
			log.Fatal(err)
		}
	}
}

func write(path, file string) error {
	page, err := load(path)
	if err != nil {
		return err
	}
	functions := template.FuncMap{
		"comment": page.comment, "source": page.source, "anchor": anchor, "pages": func() map[string]string { return pages },
	}
	parsed, err := template.New("page").Funcs(functions).Parse(layout)
	if err != nil {
		return err
	}
	var written bytes.Buffer
	if err := parsed.Execute(&written, page); err != nil {
		return err
	}
	return os.WriteFile(file, written.Bytes(), 0o666)
}

func load(path string) (*page, error) {
	directory := "." + strings.TrimPrefix(path, module)
	names, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	documented, err := doc.NewFromFiles(files, parsed, path)
	return &page{documented, files}, err
}

// comment returns a doc comment as HTML.
func (p *page) comment(text string) template.HTML {
	printer := p.Printer()
	printer.HeadingLevel = 3
	printer.DocLinkURL = link
	return template.HTML(printer.HTML(p.Parser().Parse(text)))
}

// link returns the URL of a symbol: on our own pages, or else on pkg.go.dev.
func link(to *comment.DocLink) string {
	if name, own := pages[to.ImportPath]; own {
		return name + strings.TrimPrefix(to.DefaultURL(""), "/"+to.ImportPath)
	}
	return to.DefaultURL("https://pkg.go.dev")
}

// anchor returns the name by which links refer to a function or method.
func anchor(function *doc.Func) string {
	if function.Recv == "" {
		return function.Name
	}
	return strings.TrimPrefix(function.Recv, "*") + "." + function.Name
}

// source returns a declaration as formatted source text.
func (p *page) source(declaration ast.Node) (string, error) {
	var text bytes.Buffer
	err := format.Node(&text, p.files, declaration)
	return text.String(), err
}
