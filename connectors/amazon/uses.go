package amazon

import "github.com/helloword/crossdock/connectors"

// Uses is what this connector uses of Amazon's contracts.
func Uses() connectors.Uses {
	const notification = "/notifications/v1/subscriptions/{notificationType}"
	u := connectors.Uses{Words: words()}
	for _, call := range []struct {
		op   operation
		path string
	}{
		{opSearchOrders, "/orders/2026-01-01/orders"},
		{opGetOrder, "/orders/2026-01-01/orders/{orderId}"},
		{opConfirm, "/orders/v0/orders/{orderId}/shipmentConfirmation"},
		{opSearchListings, "/listings/2021-08-01/items/{sellerId}"},
		{opGetListing, "/listings/2021-08-01/items/{sellerId}/{sku}"},
		{opPatchListing, "/listings/2021-08-01/items/{sellerId}/{sku}"},
		{opCreateReport, "/reports/2021-06-30/reports"},
		{opGetReport, "/reports/2021-06-30/reports/{reportId}"},
		{opReportDocument, "/reports/2021-06-30/documents/{reportDocumentId}"},
		{opFeedAddress, "/feeds/2021-06-30/documents"},
		{opCreateFeed, "/feeds/2021-06-30/feeds"},
		{opGetFeed, "/feeds/2021-06-30/feeds/{feedId}"},
		{opGetFeeds, "/feeds/2021-06-30/feeds"},
		{opFeedDocument, "/feeds/2021-06-30/documents/{feedDocumentId}"},
		{opTransactions, "/finances/2024-06-19/transactions"},
		{opInventory, "/fba/inventory/v1/summaries"},
		{opParticipations, "/sellers/v1/marketplaceParticipations"},
		{opGetDestinations, "/notifications/v1/destinations"},
		{opCreateDestination, "/notifications/v1/destinations"},
		{opGetSubscription, notification},
		{opCreateSubscription, notification},
		{opDeleteSubscription, notification + "/{subscriptionId}"},
	} {
		u.Endpoints = append(u.Endpoints, connectors.Endpoint{Name: call.op.name, Method: call.op.method, Path: call.path})
	}
	return u
}
