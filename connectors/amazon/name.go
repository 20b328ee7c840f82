package amazon

// provider is the name under which package money knows Amazon's exponents: ISO 4217's.
const provider = "amazon"

// Name of the connector.
const Name = provider
