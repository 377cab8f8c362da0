"""What the command line draws: `timescale --plot` and `--figure`, `recipes --figure`."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ematheory as em
from ematheory.cli import application
from ematheory.cli.drawing import HIGH, WIDTH, kernel_text, offsets

RUN = ("timescale", "--lr", "3e-4", "--weight-decay", "0.1", "--batch-size", "4e6", "--dataset-size", "2e12")


def run(*arguments):
    return CliRunner().invoke(application(), list(arguments))


def test_the_bars_of_a_constant_rate_rise_to_the_end():
    recipe = em.Recipe(lr=0.01, weight_decay=1.0, batch_size=1, dataset_size=1000)
    rows = [line[1:] for line in kernel_text(recipe).splitlines() if line.startswith("│")]
    heights = [sum(row[column] != " " for row in rows) for column in range(WIDTH)]
    assert heights == sorted(heights)
    assert heights[0] == 0
    assert heights[-1] == len(rows)
    assert "initial weight left: 4.32e-05" in kernel_text(recipe)


def test_plot_draws_in_the_terminal():
    found = run(*RUN, "--schedule", "cosine", "--plot")
    assert found.exit_code == 0
    assert "█" in found.output
    assert "█" not in run(*RUN).output


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_kernel_is_drawn_to_a_file(tmp_path, suffix):
    path = tmp_path / f"kernel.{suffix}"
    assert run(*RUN, "--figure", str(path)).exit_code == 0
    assert path.stat().st_size > 1000


def test_published_recipes_are_drawn_beside_the_power_law(tmp_path):
    path = tmp_path / "recipes.svg"
    assert run("recipes", "--figure", str(path)).exit_code == 0
    drawn = path.read_text()
    assert drawn.count("<!-- OLMo-2 7B -->") == 1
    assert "<!-- its exponent ± 0.084, a standard error at most -->" in drawn
    assert "FillBetween" in drawn


def test_a_figure_of_an_unknown_kind_is_refused(tmp_path):
    found = run(*RUN, "--figure", str(tmp_path / "kernel.gif"))
    assert found.exit_code == 2
    assert "--figure must end in .png, .svg, .pdf" in found.output


@pytest.mark.parametrize("verb", [("recipes",), RUN])
def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path, verb):
    found = run(*verb, "--figure", str(tmp_path / "none" / "x.png"))
    assert found.exit_code == 2
    assert "does not exist" in found.output
    assert len(found.output.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [("recipes",), RUN])
def test_a_figure_that_fails_leaves_what_was_there(tmp_path, monkeypatch, verb):
    """A disk that is full halfway through."""
    path = tmp_path / "x.png"
    path.write_text("before")
    right = Path.write_bytes

    def half(self, content):
        right(self, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    found = run(*verb, "--figure", str(path))
    assert found.exit_code == 2
    assert "cannot be written: No space left on device" in found.output
    assert [each.name for each in tmp_path.iterdir()] == ["x.png"]
    assert path.read_text() == "before"


def test_recipes_refuse_a_figure_of_an_unknown_kind(tmp_path):
    found = run("recipes", "--figure", str(tmp_path / "x.gif"))
    assert found.exit_code == 2
    assert "--figure must end in .png, .svg, .pdf" in found.output
    assert list(tmp_path.iterdir()) == []


def test_recipes_show_the_power_laws_interval():
    found = run("recipes")
    assert "0.05379 (0.03326–0.08701)" in found.output  # Llama-2 7B
    assert "note: power law exponent −0.527 ± 0.084, one standard error at most" in found.output
    (entry,) = (each for each in json.loads(run("recipes", "--json").output) if each["name"] == "Llama-2 7B")
    low, high = entry["power_law_interval"]
    assert low < entry["power_law_run_fraction"] < high


def test_labels_keep_off_each_other():
    places = [("a recipe", 10.0, 1.0), ("another", 10.5, 1.02), ("a third", 11.0, 0.99)]
    up = np.log10([y for _, _, y in places]) * 130 + offsets(places)
    assert np.diff(np.sort(up)).min() > HIGH
