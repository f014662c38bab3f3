// Package api is the wire contract of Prova: the JSON that the HTTP API, the
// command line, the webhooks and the receipts share.
//
// It holds types and their text forms only: no behaviour of the server, no
// I/O. One word stands for one idea, in Go names, JSON members and documents
// alike; the member names here are the contract and never change meaning.
package api
