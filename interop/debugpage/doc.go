// Package debugpage has the tests of rebounddebug's page in a real browser, against a real run of
// examples/receipts. It is a module of its own because of what drives the browser.
package debugpage
