"""The techniques: each a file that opens with its paper's equation and reads as one composition of symbols."""
