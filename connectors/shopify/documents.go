package shopify

// Every GraphQL document that this connector can send stands here, and the test of this file
// validates each against the official schema of APIVersion: one that is not in documents
// cannot be sent.

// APIVersion is the Admin API version that the documents were written for.
const APIVersion = "2026-10"

// document is one GraphQL operation.
type document struct {
	// name is the operation's name, also in metrics and errors.
	name string
	text string
	// cost is assumed for the first call; later ones use what Shopify said.
	cost float64
	// write: the operation changes something, so that a lost answer is Unknown.
	write bool
}

// documents is all of them.
func documents() []*document {
	return []*document{
		&docOrders, &docOrder, &docOrderLines, &docFulfilmentLines, &docRefundLines,
		&docProducts, &docVariants, &docLocations, &docLevels,
		&docSetQuantities, &docShown,
		&docSubscriptions, &docSubscribe, &docResubscribe, &docInstallation,
		&docCurrency, &docPrices, &docSetPrices,
		&docShipments, &docFulfilmentOrders, &docFulfilmentOrderLines, &docFulfil,
		&docCancelState, &docCancelJob, &docCancel,
		&docRefunds, &docRefundCreate,
	}
}

const fragmentPage = `pageInfo { hasNextPage endCursor }`

const fragmentTaxes = `taxLines { title rate channelLiable priceSet { shopMoney { amount } } }`

const fragmentAllocations = `discountAllocations { allocatedAmountSet { shopMoney { amount } } discountApplication { index } }`

const fragmentAddress = `{ name company address1 address2 city province provinceCode zip countryCodeV2 phone }`

const fragmentLine = `{
	id name title sku quantity currentQuantity
	originalUnitPriceSet { shopMoney { amount } }
	` + fragmentAllocations + `
	` + fragmentTaxes + `
	variant { id inventoryItem { tracked } }
	product { id }
}`

const fragmentRefundLine = `{ quantity restockType subtotalSet { shopMoney { amount } } lineItem { id } }`

const fragmentFulfilmentLine = `{ quantity lineItem { id } }`

// fragmentOrder is an order as the translator reads it. $nested is the page size of what
// stands inside: what does not fit is fetched by the documents of the single parts. Pages
// are small because a query is charged in advance for all that could come. The parts whose
// rest is not fetched (discounts, shipping lines, payments) tell their pageInfo as well: an
// order that has more of them is refused by the translator, and never cut silently.
const fragmentOrder = `{
	id name updatedAt createdAt processedAt cancelledAt closedAt cancelReason test
	displayFinancialStatus currencyCode presentmentCurrencyCode taxesIncluded
	sourceIdentifier poNumber email phone
	totalPriceSet { shopMoney { amount } presentmentMoney { amount currencyCode } }
	totalDiscountsSet { shopMoney { amount } }
	totalShippingPriceSet { shopMoney { amount } }
	totalTaxSet { shopMoney { amount } }
	` + fragmentTaxes + `
	customer { id firstName lastName }
	shippingAddress ` + fragmentAddress + `
	billingAddress ` + fragmentAddress + `
	discountApplications(first: 10) { nodes {
		__typename index
		... on DiscountCodeApplication { code }
		... on AutomaticDiscountApplication { title }
		... on ManualDiscountApplication { title }
		... on ScriptDiscountApplication { title }
	} ` + fragmentPage + ` }
	shippingLines(first: 5) { nodes {
		id code title originalPriceSet { shopMoney { amount } }
		` + fragmentAllocations + `
		` + fragmentTaxes + `
	} ` + fragmentPage + ` }
	lineItems(first: $nested) { nodes ` + fragmentLine + ` ` + fragmentPage + ` }
	fulfillments { id status fulfillmentLineItems(first: $nested) { nodes ` + fragmentFulfilmentLine + ` ` + fragmentPage + ` } }
	refunds {
		id createdAt processedAt note
		transactions(first: 10) { nodes { kind status amountSet { shopMoney { amount } } } ` + fragmentPage + ` }
		refundShippingLines(first: 5) { nodes { subtotalAmountSet { shopMoney { amount } } taxAmountSet { shopMoney { amount } } } ` + fragmentPage + ` }
		refundLineItems(first: $nested) { nodes ` + fragmentRefundLine + ` ` + fragmentPage + ` }
	}
}`

var docOrders = document{name: "CrossdockOrders", cost: 300, text: `query CrossdockOrders($first: Int!, $after: String, $query: String, $nested: Int!) {
	orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) { nodes ` + fragmentOrder + ` ` + fragmentPage + ` }
}`}

// docOrder reads one order again, when it changed while its lines were being paged.
var docOrder = document{name: "CrossdockOrder", cost: 100, text: `query CrossdockOrder($id: ID!, $nested: Int!) {
	order(id: $id) ` + fragmentOrder + `
}`}

var docOrderLines = document{name: "CrossdockOrderLines", cost: 300, text: `query CrossdockOrderLines($id: ID!, $first: Int!, $after: String) {
	node(id: $id) { ... on Order { id updatedAt lineItems(first: $first, after: $after) { nodes ` + fragmentLine + ` ` + fragmentPage + ` } } }
}`}

var docFulfilmentLines = document{name: "CrossdockFulfilmentLines", cost: 100, text: `query CrossdockFulfilmentLines($id: ID!, $first: Int!, $after: String) {
	node(id: $id) { ... on Fulfillment { id order { updatedAt } fulfillmentLineItems(first: $first, after: $after) { nodes ` + fragmentFulfilmentLine + ` ` + fragmentPage + ` } } }
}`}

var docRefundLines = document{name: "CrossdockRefundLines", cost: 100, text: `query CrossdockRefundLines($id: ID!, $first: Int!, $after: String) {
	node(id: $id) { ... on Refund { id order { updatedAt } refundLineItems(first: $first, after: $after) { nodes ` + fragmentRefundLine + ` ` + fragmentPage + ` } } }
}`}

const fragmentVariant = `{ id title sku barcode price inventoryQuantity inventoryItem { id tracked } }`

var docProducts = document{name: "CrossdockProducts", cost: 200, text: `query CrossdockProducts($first: Int!, $after: String, $query: String, $nested: Int!) {
	products(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
		nodes { id title status vendor productType updatedAt variants(first: $nested) { nodes ` + fragmentVariant + ` ` + fragmentPage + ` } }
		` + fragmentPage + `
	}
}`}

var docVariants = document{name: "CrossdockVariants", cost: 200, text: `query CrossdockVariants($id: ID!, $first: Int!, $after: String) {
	node(id: $id) { ... on Product { id updatedAt variants(first: $first, after: $after) { nodes ` + fragmentVariant + ` ` + fragmentPage + ` } } }
}`}

var docLocations = document{name: "CrossdockLocations", cost: 60, text: `query CrossdockLocations($first: Int!, $after: String) {
	locations(first: $first, after: $after) { nodes { id name isActive } ` + fragmentPage + ` }
}`}

var docLevels = document{name: "CrossdockInventoryLevels", cost: 300, text: `query CrossdockInventoryLevels($location: ID!, $first: Int!, $after: String, $query: String) {
	location(id: $location) { inventoryLevels(first: $first, after: $after, query: $query) {
		nodes { id updatedAt item { id } location { id } quantities(names: ["available"]) { name quantity } }
		` + fragmentPage + `
	} }
}`}

// docSetQuantities sets absolute quantities. changeFromQuantity is in each item of $input:
// since 2026-10 it must be there, and null means "do not compare".
// https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/inventorySetQuantities
var docSetQuantities = document{name: "CrossdockSetQuantities", cost: 10, write: true, text: `mutation CrossdockSetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
	inventorySetQuantities(input: $input) @idempotent(key: $key) {
		inventoryAdjustmentGroup { id }
		userErrors { code field message }
	}
}`}

var docShown = document{name: "CrossdockShownQuantities", cost: 50, text: `query CrossdockShownQuantities($ids: [ID!]!, $location: ID!) {
	nodes(ids: $ids) {
		... on InventoryItem { id inventoryLevel(locationId: $location) { quantities(names: ["available"]) { name quantity } } }
		... on ProductVariant { id inventoryItem { id inventoryLevel(locationId: $location) { quantities(names: ["available"]) { name quantity } } } }
	}
}`}

var docSubscriptions = document{name: "CrossdockWebhooks", cost: 60, text: `query CrossdockWebhooks($first: Int!, $after: String) {
	webhookSubscriptions(first: $first, after: $after) { nodes { id topic uri format } ` + fragmentPage + ` }
}`}

var docSubscribe = document{name: "CrossdockWebhookCreate", cost: 10, write: true, text: `mutation CrossdockWebhookCreate($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
	webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) { webhookSubscription { id } userErrors { field message } }
}`}

var docResubscribe = document{name: "CrossdockWebhookUpdate", cost: 10, write: true, text: `mutation CrossdockWebhookUpdate($id: ID!, $subscription: WebhookSubscriptionInput!) {
	webhookSubscriptionUpdate(id: $id, webhookSubscription: $subscription) { webhookSubscription { id } userErrors { field message } }
}`}

var docInstallation = document{name: "CrossdockInstallation", cost: 60, text: `query CrossdockInstallation {
	shop { name myshopifyDomain currencyCode }
	currentAppInstallation { accessScopes { handle } }
	locations(first: 50) { nodes { id name isActive } }
}`}
