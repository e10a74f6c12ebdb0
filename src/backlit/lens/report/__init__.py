"""One step as a page for a browser, without any network."""
