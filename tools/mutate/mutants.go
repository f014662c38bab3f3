package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// mutant is one small change of one file.
type mutant struct {
	file        string // relative to the module's root
	line        int
	function    string
	start, end  int // byte offsets of what is replaced
	replacement string
	change      string // for people
	source      string // the line before the change
}

// mutantsOf lists the mutants of the package in a directory, in the order of
// its files and lines. Tests are not mutated.
func mutantsOf(root, directory string) ([]mutant, error) {
	paths, err := filepath.Glob(filepath.Join(root, directory, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := filepath.ToSlash(filepath.Join(directory, filepath.Base(path)))
		found, err := mutantsIn(name, source)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// mutantsIn lists the mutants of one file.
func mutantsIn(name string, source []byte) ([]mutant, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, 0)
	if err != nil {
		return nil, err
	}
	w := &walker{files: files, name: name, source: source}
	for _, d := range file.Decls {
		w.function = ""
		if f, ok := d.(*ast.FuncDecl); ok {
			w.function = f.Name.Name
			if f.Body == nil {
				continue
			}
			w.last = nil
			if n := len(f.Body.List); n > 0 {
				w.last = f.Body.List[n-1]
			}
		}
		ast.Inspect(d, w.visit)
	}
	sort.SliceStable(w.found, func(i, j int) bool { return w.found[i].start < w.found[j].start })
	return w.found, nil
}

type walker struct {
	files    *token.FileSet
	name     string
	source   []byte
	function string
	last     ast.Stmt // of the function: without it a result would be missing
	found    []mutant
}

// add records that the text from start to end is replaced.
func (w *walker) add(start, end token.Pos, replacement, change string) {
	from := w.files.Position(start)
	begin := bytes.LastIndexByte(w.source[:from.Offset], '\n') + 1
	line, _, _ := bytes.Cut(w.source[begin:], []byte("\n"))
	w.found = append(w.found, mutant{
		file: w.name, line: from.Line, function: w.function,
		start: from.Offset, end: w.files.Position(end).Offset,
		replacement: replacement, change: change, source: strings.TrimSpace(string(line)),
	})
}

// operators lists by what an operator is replaced: at its boundary, then negated.
func operators() map[token.Token][]token.Token {
	return map[token.Token][]token.Token{
		token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
		token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
		token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
		token.LAND: {token.LOR}, token.LOR: {token.LAND},
		token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
		token.SHL: {token.SHR}, token.SHR: {token.SHL},
		token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN},
		token.MUL_ASSIGN: {token.QUO_ASSIGN}, token.QUO_ASSIGN: {token.MUL_ASSIGN},
		token.INC: {token.DEC}, token.DEC: {token.INC},
	}
}

func (w *walker) operator(at token.Pos, op token.Token) {
	for _, by := range operators()[op] {
		w.add(at, at+token.Pos(len(op.String())), by.String(), op.String()+" becomes "+by.String())
	}
}

func (w *walker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.ArrayType, *ast.CaseClause:
		// The alternatives of a switch and its conditions are visited; there is nothing to mutate in the node.
	case *ast.BinaryExpr:
		if !isText(n) {
			w.operator(n.OpPos, n.Op)
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT || n.Op == token.SUB {
			w.add(n.OpPos, n.OpPos+1, "", n.Op.String()+" is left out")
		}
	case *ast.IncDecStmt:
		w.operator(n.TokPos, n.Tok)
		w.remove(n)
	case *ast.AssignStmt:
		if n.Tok != token.ASSIGN && n.Tok != token.DEFINE && !isText(n.Rhs[0]) {
			w.operator(n.TokPos, n.Tok)
		}
		if n.Tok != token.DEFINE {
			w.remove(n)
		}
	case *ast.ExprStmt, *ast.BranchStmt:
		w.remove(n)
	case *ast.ReturnStmt:
		if n != w.last {
			w.remove(n)
		}
	case *ast.BasicLit:
		w.literal(n)
	case *ast.Ident:
		if by, ok := map[string]string{"true": "false", "false": "true", "min": "max", "max": "min"}[n.Name]; ok {
			w.add(n.Pos(), n.End(), by, n.Name+" becomes "+by)
		}
	}
	return true
}

// remove leaves a statement out. A name that is then unused makes the mutant
// one that does not compile, which does not count.
func (w *walker) remove(n ast.Node) {
	text := string(w.source[w.files.Position(n.Pos()).Offset:w.files.Position(n.End()).Offset])
	first, _, more := strings.Cut(text, "\n")
	if more {
		first += " …"
	}
	w.add(n.Pos(), n.End(), "", "left out: "+first)
}

// literal changes a number: 0 and 1 into each other, any other to the next.
func (w *walker) literal(n *ast.BasicLit) {
	by := ""
	switch n.Kind {
	case token.INT:
		v, err := strconv.ParseInt(n.Value, 0, 64)
		if err != nil {
			return
		}
		by = strconv.FormatInt(v+1, 10)
		if v == 1 {
			by = "0"
		}
	case token.FLOAT:
		v, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			return
		}
		by = strconv.FormatFloat(v+1, 'g', -1, 64)
	default:
		return
	}
	w.add(n.Pos(), n.End(), by, n.Value+" becomes "+by)
}

// isText: a sum with a string in it only joins words.
func isText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (isText(e.X) || isText(e.Y))
	}
	return false
}
