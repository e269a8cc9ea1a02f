"""One module a page: what it asks the service for, and what its template is given."""
