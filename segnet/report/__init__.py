"""Reports: one page that shows how good a network is, and where it is wrong."""
