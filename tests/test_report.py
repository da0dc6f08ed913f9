import json
import math
import multiprocessing
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT

from studies import report
from studies.intervals import Share


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("TOYMODELS_SMOKE", "1")
    monkeypatch.setenv("TOYMODELS_SCRATCH", str(tmp_path))
    return tmp_path


def test_smoke_never_writes_into_figures(scratch, monkeypatch):
    assert report.figures_folder() == scratch
    assert report.size(full=200, smoke=10) == 10
    monkeypatch.delenv("TOYMODELS_SMOKE")
    monkeypatch.chdir(ROOT / "notebooks")
    assert report.figures_folder() == ROOT / "figures"
    assert report.size(full=200, smoke=10) == 200


def test_outside_a_repository_a_report_needs_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("TOYMODELS_SMOKE", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"current folder is .*allowed: one inside a repository"):
        report.Report("01_a")
    report.Report("01_a", folder=tmp_path / "own").record("k", 1, 0)
    assert "tm@k" in (tmp_path / "own" / "numbers.tex").read_text()


def test_a_labelled_number_is_printed_and_a_share_with_its_interval(scratch, capsys):
    out = report.Report("01_a")
    assert out.record("border", torch.tensor(0.5), 0.01, "{:.2f}", label="Border") == 0.5
    assert out.record("arrive", Share(0.97, 0.93, 0.99), 0.05, "{:.0%}", label="Share of starts that arrive") == 0.97
    out.record("silent", 1, 0)
    assert capsys.readouterr().out == "Border: 0.50\nShare of starts that arrive: 97% [93%, 99%]\n"
    assert {key: entry["text"] for key, entry in out.numbers.items()} == {
        "border": "0.50",
        "arrive": "97%",
        "arrive_low": "93%",
        "arrive_high": "99%",
        "silent": "1",
    }


def test_numbers_are_kept_per_notebook_and_a_rerun_replaces_them(scratch):
    first, second = report.Report("01_a"), report.Report("02_b")
    first.record("a.share", 0.456, 0.05, "{:.0%}")
    second.record("b.count", 7.0, 0)
    second.record("b.small", 1.5e-7, 1e-7, "{:.1e}")
    book = json.loads((scratch / "numbers.json").read_text())
    assert book["01_a"]["a.share"] == {"value": 0.456, "tol": 0.05, "text": "46%"}
    tex = (scratch / "numbers.tex").read_text()
    assert r"\expandafter\def\csname tm@a.share\endcsname{46\%}" in tex
    assert r"\csname tm@b.small\endcsname{\ensuremath{1.5\times10^{-7}}}" in tex
    assert r"\csname tm@b.count\endcsname{7}" in tex
    report.Report("01_a")
    assert json.loads((scratch / "numbers.json").read_text())["01_a"] == {}


@pytest.mark.parametrize(
    ("value", "tol", "message"), [(float("nan"), 0.1, "value of k is nan"), (1.0, -1.0, "tol of k is -1.0")]
)
def test_bad_numbers_are_refused(scratch, monkeypatch, value, tol, message):
    out = report.Report("01_a")
    monkeypatch.setattr(report, "smoke", lambda: False)  # where what is not finite would be left out
    with pytest.raises(ValueError, match=message):
        out.record("k", value, tol)


def test_a_key_is_recorded_once(scratch):
    out = report.Report("01_a")
    out.record("k", 1, 0)
    with pytest.raises(ValueError, match="key is 'k'"):
        out.record("k", 2, 0)


def test_values_of_one_form_are_recorded_together(scratch):
    out = report.Report("01_a")
    out.record_all("a", {"one": 1.26, "two": (torch.tensor(2.0), 0.5), "none": math.nan}, "{:.1f}", tol=0.1)
    assert out.numbers == {
        "a.one": {"value": 1.26, "tol": 0.1, "text": "1.3"},
        "a.two": {"value": 2, "tol": 0.5, "text": "2.0"},
    }


def test_a_report_puts_on_the_style(scratch):
    with plt.rc_context({"axes.spines.top": True, "pdf.fonttype": 3}):
        report.Report("01_a")
        assert not plt.rcParams["axes.spines.top"]


def test_figures_are_byte_stable(scratch, monkeypatch):
    contents, outs = [], [report.Report("01_a") for _ in range(2)]
    monkeypatch.delenv("TOYMODELS_SMOKE")  # which leaves out the PNG
    for out in outs:
        figure, ax = plt.subplots()
        ax.plot([0, 1])
        out.save_figure(figure, "line")
        plt.close(figure)
        contents.append([(scratch / f"line.{kind}").read_bytes() for kind in ("pdf", "png")])
    assert contents[0] == contents[1]


def test_reproduction_report_tells_what_differs(tmp_path):
    before = {"01": {"a": {"value": 1.0, "tol": 0.1, "text": "1"}, "b": {"value": 2.0, "tol": 0, "text": "2"}}}
    after = {"01": {"a": {"value": 1.05, "tol": 0.1, "text": "1"}, "b": {"value": 3.0, "tol": 0, "text": "3"}}}
    for name, book in (("before.json", before), ("after.json", after)):
        (tmp_path / name).write_text(json.dumps(book))
    script = ROOT / "scripts" / "reproduction_report.py"
    command = [sys.executable, script, "--before", tmp_path / "before.json", "--after", tmp_path / "after.json"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "differs  b: committed 2, here 3, tolerance 0" in printed
    assert "a:" not in printed
    assert "2 numbers recorded, 1 outside" in printed


def test_readme_numbers_are_filled_in_place():
    sys.path.insert(0, str(ROOT / "scripts"))
    from fill_readme import fill

    text = "| about 3%<!--a.b--> of (12<!--c_0.1-->) |"
    assert fill(text, {"a.b": "4%", "c_0.1": "13"}) == "| about 4%<!--a.b--> of (13<!--c_0.1-->) |"
    with pytest.raises(KeyError, match=r"a\.b"):
        fill(text, {"c_0.1": "13"})


def test_the_report_compares_with_the_commit_of_now(tmp_path, monkeypatch):
    sys.path.insert(0, str(ROOT / "scripts"))
    import reproduction_report

    monkeypatch.setattr(reproduction_report, "ROOT", tmp_path)
    assert reproduction_report.committed() == {}
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "figures").mkdir()
    for value in (1.0, 2.0):  # the second commit counts, although the first was there before
        (tmp_path / "figures" / "numbers.json").write_text(json.dumps({"01": {"a": {"value": value}}}))
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "numbers"], check=True)
        assert reproduction_report.committed()["01"]["a"]["value"] == value


def test_settings_are_recorded_as_the_table_prints_them(scratch):
    out = report.Report("01_a")
    out.settings("line", n=5, lr=0.03, starts=1000, densities=[1.0, 0.1], optimizer="adam_w")
    words = "n 5; lr 0.03; starts 1,000; densities 1, 0.1; optimizer adam_w"
    assert json.loads((scratch / "settings.json").read_text()) == {"01_a": {"line": words}}
    out.settings("other", n=5, lr=0.03, starts=1000, densities=[1.0, 0.1], optimizer="adam_w")
    printed = r"$n=$\,5; lr 0.03; starts 1,000; densities 1, 0.1; optimizer adam w"
    assert rf"\setting{{\ref{{fig:line}}, \ref{{fig:other}}}}{{{printed}}}" in (scratch / "settings.tex").read_text()
    assert r"{$I=$\,$0.75^i$}" in report.settings_tex({"01_a": {"line": "I 0.75^i"}})
    with pytest.raises(ValueError, match="stem is 'line'"):
        out.settings("line", n=5)


def test_data_come_back_and_are_byte_stable(scratch):
    contents = []
    for _ in range(2):
        report.Report("01_a").save_data("line", W=torch.ones(2, 3, dtype=torch.float64), count=torch.arange(3))
        contents.append((scratch / "line.npz").read_bytes())
    assert contents[0] == contents[1]
    data = np.load(scratch / "line.npz")
    assert data["W"].shape == (2, 3)
    assert data["count"].tolist() == [0, 1, 2]


def _records(folder, notebook):
    out = report.Report(notebook, folder)
    for k in range(20):
        out.record(f"{notebook}.{k}", k, 0)


def test_notebooks_side_by_side_lose_no_number(tmp_path):
    names = [f"{k:02d}_some" for k in range(4)]
    many = [multiprocessing.get_context("spawn").Process(target=_records, args=(tmp_path, name)) for name in names]
    for one in many:
        one.start()
    for one in many:
        one.join()
    book = json.loads((tmp_path / "numbers.json").read_text())
    assert {name: len(numbers) for name, numbers in book.items()} == dict.fromkeys(names, 20)
