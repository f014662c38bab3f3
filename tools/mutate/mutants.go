package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// mutant is one small change. All of them are compiled into one test binary, in
// which the environment variable MUTANT switches one on: compiling for each
// would take ten times as long as testing.
type mutant struct {
	id       int
	file     string // relative to the module's root
	line     int
	function string
	change   string // for people
	source   string // the line before the change
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s: %s | %s", m.file, m.line, m.function, m.change, m.source)
}

// edit replaces a part of a file's text. Edits never add a line.
type edit struct {
	offset, length int
	text           string
	closes         bool // at the end of what it belongs to, and so before what begins there
	order          int
}

// mutator rewrites one file so that each of its mutants can be switched on.
type mutator struct {
	files    *token.FileSet
	info     *types.Info
	own      *types.Package
	name     string
	source   []byte
	skip     map[string]bool // lines, as file:line, that did not compile when they were rewritten
	next     int             // the next mutant's number
	function string
	parents  []ast.Node
	found    []mutant
	edits    []edit
}

// rewrite returns the file's text with its mutants built in.
func (m *mutator) rewrite(file *ast.File) string {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		m.function = f.Name.Name
		m.end(f.Type, f.Body)
		ast.Inspect(f.Body, m.visit)
	}
	slices.SortStableFunc(m.edits, func(a, b edit) int {
		switch {
		case a.offset != b.offset:
			return a.offset - b.offset
		case a.closes != b.closes:
			return map[bool]int{true: -1, false: 1}[a.closes]
		case a.closes: // what was opened last is closed first
			return b.order - a.order
		}
		return a.order - b.order
	})
	var out bytes.Buffer
	at := 0
	for _, e := range m.edits {
		out.Write(m.source[at:e.offset])
		out.WriteString(e.text)
		at = e.offset + e.length
	}
	out.Write(m.source[at:])
	return out.String()
}

func (m *mutator) offset(p token.Pos) int { return m.files.Position(p).Offset }

func (m *mutator) text(n ast.Node) string {
	return string(m.source[m.offset(n.Pos()):m.offset(n.End())])
}

// mutant numbers a change at a place; 0 if the line is to be skipped.
func (m *mutator) mutant(at token.Pos, change string) int {
	p := m.files.Position(at)
	if m.skip[fmt.Sprintf("%s:%d", m.name, p.Line)] {
		return 0
	}
	begin := bytes.LastIndexByte(m.source[:p.Offset], '\n') + 1
	line, _, _ := bytes.Cut(m.source[begin:], []byte("\n"))
	id := m.next
	m.next++
	m.found = append(m.found, mutant{id: id, file: m.name, line: p.Line, function: m.function, change: change, source: strings.TrimSpace(string(line))})
	return id
}

func (m *mutator) replace(at token.Pos, length int, text string) {
	m.edits = append(m.edits, edit{offset: m.offset(at), length: length, text: text, order: len(m.edits)})
}

func (m *mutator) wrap(n ast.Node, before, after string) {
	m.replace(n.Pos(), 0, before)
	m.edits = append(m.edits, edit{offset: m.offset(n.End()), text: after, closes: true, order: len(m.edits)})
}

// end lets a function compile whose last statement may be left out.
func (m *mutator) end(f *ast.FuncType, body *ast.BlockStmt) {
	if n := len(body.List); f.Results != nil && n > 0 {
		if _, ok := body.List[n-1].(*ast.ReturnStmt); !ok {
			m.replace(body.Rbrace, 0, "; panic(\"no result\") ")
		}
	}
}

func (m *mutator) constant(e ast.Expr) bool { return m.info.Types[e].Value != nil }

func (m *mutator) visit(n ast.Node) bool {
	if n == nil {
		m.parents = m.parents[:len(m.parents)-1]
		return true
	}
	descend := true
	switch n := n.(type) {
	case *ast.DeclStmt, *ast.ArrayType:
		descend = false // constants and lengths cannot change when the program runs
	case *ast.FuncLit:
		m.end(n.Type, n.Body)
	case *ast.BasicLit:
		m.literal(n)
	case *ast.Ident:
		if by, ok := map[string]string{"true": "false", "false": "true"}[n.Name]; ok && m.constant(n) {
			if id := m.mutant(n.Pos(), n.Name+" becomes "+by); id > 0 {
				m.replace(n.Pos(), len(n.Name), fmt.Sprintf("mutantPick(%d, %s, %s)", id, n.Name, by))
			}
		}
	case *ast.BinaryExpr:
		if descend = !m.constant(n); descend {
			m.binary(n)
		}
	case *ast.UnaryExpr:
		if descend = !m.constant(n); descend {
			m.unary(n)
		}
	case *ast.CallExpr:
		if descend = !m.constant(n); descend {
			m.extreme(n)
		}
	case ast.Stmt:
		m.statement(n)
	}
	if descend {
		m.parents = append(m.parents, n)
	}
	return descend
}

// literal changes a number: 0 and 1 into each other, any other to the next.
func (m *mutator) literal(n *ast.BasicLit) {
	by := ""
	if n.Kind == token.INT {
		v, err := strconv.ParseInt(n.Value, 0, 64)
		if err != nil {
			return
		}
		by = strconv.FormatInt(v+1, 10)
		if v == 1 {
			by = "0"
		}
	} else if n.Kind == token.FLOAT {
		v, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			return
		}
		by = strconv.FormatFloat(v+1, 'g', -1, 64)
	}
	t := m.info.Types[n].Type
	if basic, ok := t.(*types.Basic); by == "" || t == nil || ok && basic.Info()&types.IsUntyped != 0 {
		return
	}
	if id := m.mutant(n.Pos(), n.Value+" becomes "+by); id > 0 {
		name := types.TypeString(t, func(p *types.Package) string {
			if p == m.own {
				return ""
			}
			return p.Name()
		})
		m.replace(n.Pos(), len(n.Value), fmt.Sprintf("mutantPick[%s](%d, %s, %s)", name, id, n.Value, by))
	}
}

// rewritten lists what stands for an operator, and what it becomes.
func rewritten() map[token.Token]struct {
	call string
	by   []string
} {
	return map[token.Token]struct {
		call string
		by   []string
	}{
		token.LSS: {"mutantLess", []string{"<=", ">="}}, token.LEQ: {"mutantLessEqual", []string{"<", ">"}},
		token.GTR: {"mutantGreater", []string{">=", "<="}}, token.GEQ: {"mutantGreaterEqual", []string{">", "<"}},
		token.EQL: {"", []string{"!="}}, token.NEQ: {"", []string{"=="}},
		token.LAND: {"mutantAnd", []string{"||"}}, token.LOR: {"mutantOr", []string{"&&"}},
		token.ADD: {"mutantAdd", []string{"-"}}, token.SUB: {"mutantSubtract", []string{"+"}},
		token.MUL: {"mutantMultiply", []string{"/"}}, token.QUO: {"mutantDivide", []string{"*"}},
	}
}

func (m *mutator) binary(n *ast.BinaryExpr) {
	op, ok := rewritten()[n.Op]
	if basic, isBasic := m.info.Types[n].Type.Underlying().(*types.Basic); !ok || !isBasic || basic.Info()&types.IsString != 0 {
		return // a sum of strings only joins words
	}
	first := 0
	for _, by := range op.by {
		if id := m.mutant(n.OpPos, n.Op.String()+" becomes "+by); first == 0 {
			first = id
		}
	}
	switch {
	case first == 0:
	case op.call == "":
		m.wrap(n, "((", fmt.Sprintf(") != mutantOn(%d))", first))
	case n.Op == token.LAND || n.Op == token.LOR:
		m.wrap(n, fmt.Sprintf("%s(%d, ", op.call, first), "})")
		m.replace(n.OpPos, len(n.Op.String()), ", func() bool { return ")
	default:
		m.wrap(n, fmt.Sprintf("%s(%d, ", op.call, first), ")")
		m.replace(n.OpPos, len(n.Op.String()), ",")
	}
}

func (m *mutator) unary(n *ast.UnaryExpr) {
	if n.Op != token.NOT && n.Op != token.SUB {
		return
	}
	if id := m.mutant(n.OpPos, n.Op.String()+" is left out"); id > 0 {
		x := m.text(n.X)
		if strings.Contains(x, "\n") {
			x = strings.ReplaceAll(x, "\n", " ")
		}
		m.wrap(n, fmt.Sprintf("mutantPick(%d, ", id), ", "+x+")")
	}
}

// extreme turns min into max and the other way round.
func (m *mutator) extreme(n *ast.CallExpr) {
	name, ok := n.Fun.(*ast.Ident)
	if !ok || name.Name != "min" && name.Name != "max" {
		return
	}
	by, call := "max", "mutantMin"
	if name.Name == "max" {
		by, call = "min", "mutantMax"
	}
	if id := m.mutant(n.Pos(), name.Name+" becomes "+by); id > 0 {
		m.replace(name.Pos(), len(name.Name), call)
		m.replace(n.Lparen+1, 0, fmt.Sprintf("%d, ", id))
	}
}

// statement leaves one out, or turns the operator of an assignment.
func (m *mutator) statement(n ast.Stmt) {
	parent := m.parents
	if len(parent) == 0 {
		return
	}
	switch parent[len(parent)-1].(type) {
	case *ast.BlockStmt, *ast.CaseClause:
	default:
		return // the head of an if, a for or a switch takes no other statement
	}
	turned := ""
	switch n := n.(type) {
	case *ast.ExprStmt, *ast.BranchStmt:
	case *ast.IncDecStmt:
		turned = m.text(n.X) + map[token.Token]string{token.INC: "--", token.DEC: "++"}[n.Tok]
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			return
		}
		by, ok := map[token.Token]string{token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+=", token.MUL_ASSIGN: "/=", token.QUO_ASSIGN: "*="}[n.Tok]
		if basic, isBasic := m.info.Types[n.Lhs[0]].Type.(*types.Basic); ok && !(isBasic && basic.Info()&types.IsString != 0) {
			turned = m.text(n.Lhs[0]) + " " + by + " " + m.text(n.Rhs[0])
		}
	case *ast.ReturnStmt:
		if len(parent) < 2 {
			return
		}
		if _, ok := parent[len(parent)-2].(*ast.IfStmt); !ok {
			return // what follows could not do without the result
		}
	default:
		return
	}
	first, _, _ := strings.Cut(m.text(n), "\n")
	before := ""
	if id := m.mutant(n.Pos(), "left out: "+first); id > 0 {
		before = fmt.Sprintf("if mutantOn(%d) {} else ", id)
	}
	if turned != "" && !strings.Contains(turned, "\n") {
		if id := m.mutant(n.Pos(), "turned into: "+turned); id > 0 {
			before += fmt.Sprintf("if mutantOn(%d) { %s } else ", id, turned)
		}
	}
	if before != "" {
		m.wrap(n, before+"{ ", " }")
	}
}
