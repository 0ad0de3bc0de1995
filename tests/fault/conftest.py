"""The product on a pair, as the integration tests have it."""

from __future__ import annotations

from tests.integration.conftest import make_product, product, shop, write_for

__all__ = ["make_product", "product", "shop", "write_for"]
