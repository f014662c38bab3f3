package pgtest

import "syscall"

// endWithParent has the kernel end the server when the tests are killed.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
