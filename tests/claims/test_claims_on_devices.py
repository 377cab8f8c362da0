"""Networks of claims are trained on the device that was asked for; a device that is not there is told at once."""

from __future__ import annotations

import pytest

import ematheory as em
from ematheory.claims import Claim, Evidence, Exact, Level, find
from ematheory.claims.devices import chosen_device, training_on
from ematheory.report import key

pytest.importorskip("torch")
pytest.importorskip("sklearn")
OF_NETWORKS = ("C06", "C14", "C20", "C23", "C24", "C25", "C34", "C36", "C37", "C42", "C43")


class Reached(Exception):
    """With the device that training was asked for."""


@pytest.mark.parametrize("claim", OF_NETWORKS)
def test_every_network_is_trained_there(monkeypatch, claim):
    import ematheory.training as training
    from ematheory.training.crosschecks import averages, effective_rates, one_pass

    def told(*given, device, **settings):
        raise Reached(device)

    for module, name in (
        (training, "train"), (averages, "averages"), (one_pass, "one_pass"), (effective_rates, "effective_rates"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, told, raising=False)
    (found,) = find(claim)
    level = found.levels.get("networks", found.levels["trained"])
    with training_on("cuda:7"), pytest.raises(Reached, match="cuda:7"):
        level.run("quick")


def test_other_empirical_levels_train_no_networks():
    """C13 and C18 are of models, C19 of published recipes, and C29 of what torch does to weights without a gradient."""
    others = {claim.id for claim in find() if "empirical" in claim.kinds} - set(OF_NETWORKS)
    assert others == {"C13", "C18", "C19", "C29"}


def test_what_validate_is_given_reaches_the_levels(monkeypatch):
    def run(tier):
        return Evidence((Exact(chosen_device(), 0.0, 1e-15, 1, "none"),))

    claim = Claim("X01", "paper", "w = w.", "here", (), ("exact",), {"trained": Level(run)})
    for module in ("validation", "claims.judging"):
        monkeypatch.setattr(f"ematheory.{module}.check_training_device", str)
    monkeypatch.setattr("ematheory.validation.find", lambda *names: (claim,))
    found = em.validate(device="cuda:7")
    assert [each.what for each in found.judgements[0].outcomes] == ["cuda:7"]
    assert found.record["device"] == "cuda:7"


def test_a_device_that_is_not_there_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match="device must be one that this torch has"):
        em.validate("C01", levels="symbolic", device="abacus", out=tmp_path)
    with pytest.raises(TypeError, match="torch's name"):
        em.validate("C01", levels="symbolic", device=0)
    assert not list(tmp_path.iterdir())


def test_the_record_and_the_key_of_kept_levels_name_the_device():
    assert em.validate("C01", levels="symbolic", tier="smoke").record["device"] == "cpu"
    assert key("smoke", (), device="cuda") != key("smoke", ())
    assert chosen_device() == "cpu"
