package shopify

// The documents of the commands on prices and orders, and what is asked around them.

var docCurrency = document{name: "CrossdockCurrency", cost: 1, text: `query CrossdockCurrency { shop { currencyCode } }`}

var docPrices = document{name: "CrossdockPrices", cost: 100, text: `query CrossdockPrices($ids: [ID!]!) {
	nodes(ids: $ids) { ... on ProductVariant { id price product { id } } }
}`}

// docSetPrices sets prices of one product's variants, all of them or none: with
// allowPartialUpdates Shopify writes what it can, and its errors need not name what it left.
// https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/productVariantsBulkUpdate
var docSetPrices = document{name: "CrossdockSetPrices", cost: 10, write: true, text: `mutation CrossdockSetPrices($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
	productVariantsBulkUpdate(productId: $product, variants: $variants, allowPartialUpdates: false) {
		productVariants { id price }
		userErrors { code field message }
	}
}`}

// docShipments is what of an order was shipped.
var docShipments = document{name: "CrossdockShipments", cost: 100, text: `query CrossdockShipments($id: ID!, $nested: Int!) {
	order(id: $id) { id fulfillments {
		id status trackingInfo { number }
		fulfillmentLineItems(first: $nested) { nodes ` + fragmentFulfilmentLine + ` ` + fragmentPage + ` }
	} }
}`}

const fragmentFulfilmentOrderLine = `{ id remainingQuantity lineItem { id } }`

// docFulfilmentOrders is what of an order can be shipped, and from where. Which of them are
// seen at all depends on the app's scopes.
var docFulfilmentOrders = document{name: "CrossdockFulfilmentOrders", cost: 200, text: `query CrossdockFulfilmentOrders($id: ID!, $first: Int!, $after: String, $nested: Int!) {
	order(id: $id) { id fulfillmentOrders(first: $first, after: $after) {
		nodes {
			id status supportedActions { action } assignedLocation { location { id } }
			lineItems(first: $nested) { nodes ` + fragmentFulfilmentOrderLine + ` ` + fragmentPage + ` }
		}
		` + fragmentPage + `
	} }
}`}

var docFulfilmentOrderLines = document{name: "CrossdockFulfilmentOrderLines", cost: 100, text: `query CrossdockFulfilmentOrderLines($id: ID!, $first: Int!, $after: String) {
	node(id: $id) { ... on FulfillmentOrder { id lineItems(first: $first, after: $after) { nodes ` + fragmentFulfilmentOrderLine + ` ` + fragmentPage + ` } } }
}`}

// docFulfil ships units of fulfilment orders of one order and one location. It takes no
// idempotency key.
// https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/fulfillmentCreate
var docFulfil = document{name: "CrossdockFulfil", cost: 10, write: true, text: `mutation CrossdockFulfil($fulfillment: FulfillmentInput!) {
	fulfillmentCreate(fulfillment: $fulfillment) { fulfillment { id status } userErrors { field message } }
}`}

var docCancelState = document{name: "CrossdockCancelState", cost: 10, text: `query CrossdockCancelState($id: ID!) {
	order(id: $id) { id cancelledAt }
}`}

// docCancelJob is docCancelState with the job that was begun.
var docCancelJob = document{name: "CrossdockCancelJob", cost: 10, text: `query CrossdockCancelJob($id: ID!, $job: ID!) {
	order(id: $id) { id cancelledAt }
	node(id: $job) { ... on OrderCancelJobResult { id done status errors { code message } } }
}`}

// docCancel begins a job. refundMethod is told openly: what was paid is not given back.
// https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/orderCancel
var docCancel = document{name: "CrossdockCancel", cost: 10, write: true, text: `mutation CrossdockCancel($order: ID!, $reason: OrderCancelReason!, $restock: Boolean!, $notify: Boolean!, $note: String) {
	orderCancel(orderId: $order, reason: $reason, restock: $restock, notifyCustomer: $notify, staffNote: $note, refundMethod: { originalPaymentMethodsRefund: false }) {
		jobResult { id done status }
		orderCancelUserErrors { code field message }
	}
}`}

const fragmentBag = `{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }`

// docRefunds is what an order was paid with and what was given back. The lists have no pages.
var docRefunds = document{name: "CrossdockRefunds", cost: 50, text: `query CrossdockRefunds($id: ID!) {
	order(id: $id) {
		id currencyCode presentmentCurrencyCode
		refunds { id note totalRefundedSet ` + fragmentBag + ` }
		transactions { id kind status gateway amountSet ` + fragmentBag + ` parentTransaction { id } }
	}
}`}

// docRefundCreate needs its idempotency key since 2026-04.
// https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/refundCreate
var docRefundCreate = document{name: "CrossdockRefundCreate", cost: 10, write: true, text: `mutation CrossdockRefundCreate($input: RefundInput!, $key: String!) {
	refundCreate(input: $input) @idempotent(key: $key) { refund { id totalRefundedSet ` + fragmentBag + ` } userErrors { field message } }
}`}
