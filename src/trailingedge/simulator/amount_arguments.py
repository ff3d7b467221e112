"""Amounts on a command line: argparse types for balances, amounts and fractions."""

import argparse
from decimal import Decimal, InvalidOperation

from trailingedge.model.market_names import is_market_name


def parse_balances(text: str) -> dict[str, Decimal]:
    """Parse text such as `ETH=1,FDUSD=0` into amounts by asset. Raises ArgumentTypeError if the text is malformed."""
    parse_balances = {}
    for part in text.split(","):
        asset, equals, value = part.partition("=")
        if not is_market_name(asset.strip()) or not equals:
            raise argparse.ArgumentTypeError(f"{part!r} is not ASSET=AMOUNT; write it like ETH=1")
        parse_balances[asset.strip()] = parse_amount(value.strip())
    return parse_balances


def parse_amount(text: str) -> Decimal:
    """Parse a finite number that is zero or more. Raises ArgumentTypeError for any other text."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not an amount")
    return value


def parse_fraction(text: str) -> Decimal:
    """Parse a number from 0 up to, but not including, 1. Raises ArgumentTypeError for any other text."""
    value = parse_amount(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a fraction; 0.001 is a tenth of a percent")
    return value
