package httpapi

import (
	"fmt"
	"net/http/httptest"
)

func ExampleNew() {
	h := New(Options{Cases: &fake{}, Log: discard()}) // Cases is an *authority.Authority
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/rollouts", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	fmt.Println(w.Body)
	// Output:
	// 401 application/problem+json
	// {"type":"urn:prova:problem:unauthenticated","title":"A valid API key is needed","status":401,"detail":"send an API key as Authorization: Bearer prv_…"}
}
