package e2e

import "syscall"

// withParent has the kernel end a process when the tests are killed.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
