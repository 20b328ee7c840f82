package ebay

// Name of the connector.
const Name = provider

// provider is the name under which package money knows eBay's exponents.
const provider = "ebay"
