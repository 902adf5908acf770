"""What the papers on feed-forward stylization claim, measured with networks that are trained here."""
