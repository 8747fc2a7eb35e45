"""The figures: what is drawn comes from the data, and the files are readable PNGs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from distill_app.reports import plots
from tests.reports.result_example import example


def test_scores_draws_both_students_with_their_intervals() -> None:
    result = example()
    rows = plots.with_base_intervals(result["rows"], result["base_rows"])
    axes = plots.scores(rows).axes[0]
    drawn = [[float(x) for x in line.get_xdata()] for line in axes.lines]
    row, base = result["rows"][0], result["base_rows"][0]
    assert drawn[0] == pytest.approx([base["ci_low"] * 100, base["ci_high"] * 100])  # type: ignore[operator]
    assert drawn[1] == pytest.approx([25.0])
    assert drawn[2] == pytest.approx([row["ci_low"] * 100, row["ci_high"] * 100])  # type: ignore[operator]
    assert drawn[3] == pytest.approx([56.25])
    assert axes.get_yticklabels()[0].get_text() == "words\navg@4 (n = 4)"
    assert "words avg@4: 25.0 before and 56.2 percent after training" in plots.scores_alt(rows)


def test_scores_without_interval_or_base_draws_points_alone() -> None:
    result = example(trained=["ccww"], base=None)
    axes = plots.scores(plots.with_base_intervals(result["rows"], result["base_rows"])).axes[0]
    assert [float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata())] == pytest.approx(
        [50.0, 500 / 6, 100.0]
    )


def test_loss_curve() -> None:
    losses = [2.0 - 0.05 * i for i in range(30)]
    axes = plots.loss(range(1, 31), losses).axes[0]
    assert list(axes.lines[0].get_ydata()) == losses
    # Mean of three: on a straight line it is the middle one, at the middle step.
    assert list(axes.lines[1].get_ydata()) == pytest.approx(losses[1:-1])
    assert list(axes.lines[1].get_xdata()) == list(range(2, 30))
    assert plots.loss_alt(range(1, 31), losses) == "Training loss: 2.000 at step 1, 0.550 at step 30."
    assert len(plots.loss([1], [0.5]).axes[0].lines) == 1


def test_quality_histogram_counts_every_row() -> None:
    axes = plots.quality([0.9, 1.0, 1.0], [0.0, 0.1], bins=10).axes[0]
    heights = [[patch.get_height() for patch in bars] for bars in axes.containers]
    assert [sum(bars) for bars in heights] == [3, 2]
    assert heights[0][-1] == 3
    assert heights[1][:2] == [1, 1]
    alt = plots.quality_alt([0.9, 1.0, 1.1], [])
    assert alt == "Quality of the candidates: 3 kept with mean quality 1.000, 0 left."


def test_saved_pictures_are_opaque_pngs_that_follow_the_data(tmp_path: Path) -> None:
    from matplotlib.image import imread

    pictures = []
    for name, kept in (("a", [0.9, 0.8]), ("b", [0.1] * 9)):
        plots.save(plots.quality(kept, [0.5, 0.2]), tmp_path / f"{name}.png")
        data = (tmp_path / f"{name}.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", data[16:24]) == (1400, 640)
        pixels = imread(tmp_path / f"{name}.png")
        assert pixels.shape[2] == 3 or pixels[:, :, 3].min() == 1.0
        assert pixels[0, 0, :3].min() == 1.0
        pictures.append(pixels)
    assert (pictures[0] != pictures[1]).any()
