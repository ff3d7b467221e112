"""Parts of `trailing-edge watch`: the subscription, and the views in the terminal and in a browser.

May import `console`, `core`, `live`, `model`, `notifications` and `report`. Used by `commands.watch` alone.
"""
