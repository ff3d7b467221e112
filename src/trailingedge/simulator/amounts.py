"""Amounts as they are written on a command line."""

import argparse
from decimal import Decimal, InvalidOperation


def parse_balances(text: str) -> dict[str, Decimal]:
    """`ETH=1,FDUSD=0` as amounts by asset."""
    held = {}
    for part in text.split(","):
        asset, equals, told = part.partition("=")
        if not asset.strip() or not equals:
            raise argparse.ArgumentTypeError(f"{part!r} is not ASSET=AMOUNT")
        held[asset.strip()] = parse_amount(told.strip())
    return held


def parse_amount(text: str) -> Decimal:
    """A number, 0 or more."""
    try:
        told = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not told.is_finite() or told < 0:
        raise argparse.ArgumentTypeError(f"{text} is not an amount")
    return told


def parse_fraction(text: str) -> Decimal:
    """A number from 0 to below 1."""
    told = parse_amount(text)
    if told >= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a fraction; 0.001 is a tenth of a percent")
    return told
