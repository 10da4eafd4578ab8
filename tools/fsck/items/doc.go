// Package items reads a queue's items from its files, offline: those that are there, those that are
// taken and still on disk, and the damage between them. It lists them, and puts taken ones back.
package items
