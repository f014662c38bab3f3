package api

import "strings"

// Problem is an error as RFC 9457 writes it.
type Problem struct {
	// Type is stable: ProblemBase and the code.
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Errors []FieldError `json:"errors,omitempty"`
}

// FieldError points at one invalid member of a body (RFC 6901).
type FieldError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// ProblemBase begins the type of every problem. It is a name, not an address.
const ProblemBase = "urn:prova:problem:"

// Code is the last part of the type.
func (p Problem) Code() string { return strings.TrimPrefix(p.Type, ProblemBase) }

// Error makes a problem usable as an error of a client.
func (p Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		if e.Detail != p.Detail {
			text += "\n  " + e.Pointer + ": " + e.Detail
		}
	}
	return text
}
