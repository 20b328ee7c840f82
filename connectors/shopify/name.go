package shopify

// Name of the connector.
const Name = provider
