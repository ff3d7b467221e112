"""From a want to one order at the best price."""
