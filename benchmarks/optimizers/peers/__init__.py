"""Other libraries' optimizers behind greenshift's ask and tell, for comparison only."""
