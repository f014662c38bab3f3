package api

import (
	"bytes"
	_ "embed" // for the two forms of the description
)

//go:embed openapi.yaml
var openAPIYAML []byte

//go:embed openapi.json
var openAPIJSON []byte

// OpenAPI returns the description of the HTTP API as it was written: OpenAPI 3.1 in YAML.
func OpenAPI() []byte { return bytes.Clone(openAPIYAML) }

// OpenAPIJSON returns the same description in JSON, made from the YAML by a
// test of the handlers that also keeps both equal.
func OpenAPIJSON() []byte { return bytes.Clone(openAPIJSON) }
