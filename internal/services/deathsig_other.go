//go:build !linux

package services

import "syscall"

// procAttr: only Linux can tie a child's life to its parent's; elsewhere die has
// no effect.
func procAttr(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
