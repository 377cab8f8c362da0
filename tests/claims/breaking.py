"""What tests that break a level have in common."""

from __future__ import annotations

from ematheory.claims.verdict import judge


def verdict(evidence):
    return judge(evidence)[0]


def small(monkeypatch, module, **sizes):
    for name, size in sizes.items():
        monkeypatch.setitem(getattr(module, name), "smoke", size)


def by(factor, right):
    return lambda *given, **named: factor * right(*given, **named)
