package connectors

// Uses is what a connector uses of its vendor's contract: by it `crossdock drift` says what a
// new version of the contract touches. A connector that calls nobody has none.
type Uses struct {
	// Endpoints is every call that the connector can make.
	Endpoints []Endpoint
	// Words is every name that stands in the connector's code. A member of a contract is used
	// when its name, and that of everything around it, is one of them. That finds all that is
	// read or sent by its name, and now and then a member that only shares the name of another:
	// better one look too many. A test derives the list from the code (connectortest.Words).
	Words []string
}

// Endpoint is one call that a connector can make.
type Endpoint struct {
	// Name is what the connector calls it, in its code and in errors.
	Name string
	// Method and Path as in the vendor's contract, with {names} for what is filled in; empty
	// for GraphQL.
	Method, Path string
	// Document is the GraphQL operation. It says itself which fields are read.
	Document string
}
