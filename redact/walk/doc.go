// Package walk knows where text stands in a body.
package walk
