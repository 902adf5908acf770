"""What results look like: maps, sheets, plots and the page of a run, as arrays and files, on the host."""
