"""What results look like: maps, sheets, grids, plots, films and pages, as arrays and files, on the host."""
