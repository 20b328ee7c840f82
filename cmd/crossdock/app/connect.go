package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// Authorizable is a connection that can be authorised by `crossdock connect`: what it is given
// must not be lost.
func (a *App) Authorizable(name string) (*connectors.Connector, error) {
	for _, c := range a.connections {
		if c.name != name {
			continue
		}
		if c.Authorize != nil && c.Authorize.Guide().Way != connectors.AuthorizeByHand && !a.Config.Tokens.Kept() {
			return nil, errors.New("what is given would be lost with this process: set tokens.key (openssl rand -base64 32)")
		}
		return c.Connector, nil
	}
	return nil, fmt.Errorf("connection %q is not in the configuration: it has %s", name, strings.Join(a.Config.Names(), ", "))
}
