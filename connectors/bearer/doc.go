// Package bearer is what connectors share of OAuth 2.0 (RFC 6749): access tokens that end and
// are asked for anew, what token endpoints answer, and the refresh tokens that owners gave.
//
// In: the token store, and the platform's way to give another token. Out: a token that is good
// for a while. Keeps the newest token in memory; what must survive is in the token store. On a
// crash between a platform's answer and the store's acknowledgement the token is lost, never
// used: nobody acts on what others cannot find.
package bearer
