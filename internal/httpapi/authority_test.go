package httpapi

import "github.com/cobound/prova/internal/authority"

// The interface that the routes call is the one that counts.
var _ Cases = (*authority.Authority)(nil)
