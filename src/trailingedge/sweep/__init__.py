"""Many settings on one recorded market, and an honest word on the best of them."""
