package services

import "syscall"

// procAttr gives a child a session of its own, so that signals to the terminal's
// group do not reach it. With die it ends with its parent: the kernel kills it
// when the thread that started it ends, so that thread has to be kept (see
// Process.start).
func procAttr(die bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if die {
		a.Pdeathsig = syscall.SIGKILL
	}
	return a
}
