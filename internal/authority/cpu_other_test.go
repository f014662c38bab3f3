//go:build !unix

package authority_test

import "time"

var processStart = time.Now()

// cpuTime stands in with the time that has passed where the system does not tell.
func cpuTime() time.Duration { return time.Since(processStart) }
