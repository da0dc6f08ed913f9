"""The explorer in a real browser: exact numbers, speed, state, access (Debian's chromium through Playwright)."""

import contextlib
import functools
import http.server
import importlib.util
import itertools
import json
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import oracle
import pytest
import torch
from conftest import ROOT

import toymodels as tm
from studies import explorer, landscape
from toymodels import report
from toymodels.plots import phases
from toymodels.report import by_key

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE = (ROOT / "docs" / "index.html").as_uri()
READY = "document.documentElement.dataset.ready"


@pytest.fixture(scope="module")
def browser():
    """Chromium. Where it is missing the tests are skipped, or fail under TOYMODELS_BROWSER=required (.ci/run)."""
    if not (CHROMIUM and importlib.util.find_spec("playwright")):
        hint = "needs chromium and playwright: scripts/provide.sh browser, pip install -r requirements.txt"
        (pytest.fail if os.environ.get("TOYMODELS_BROWSER") == "required" else pytest.skip)(hint)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def watched(context):
    """A page of the context that keeps what it asks for and what goes wrong in it."""
    page = context.new_page()
    page.set_default_timeout(120_000)  # a busy machine is slow, not wrong
    page.asked, page.trouble = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("console", lambda message: page.trouble.append(message.text) if message.type == "error" else None)
    return page


def opened(page, state="", url=PAGE):
    """Load the page anew in a state."""
    page.goto("about:blank")
    page.asked.clear()
    page.goto(url + (f"#{state}" if state else ""))
    page.wait_for_function(READY)
    return page


@pytest.fixture(scope="module")
def shared(browser):
    page = watched(browser.new_context(viewport={"width": 1280, "height": 800}))
    yield page
    page.context.close()


@pytest.fixture
def page(shared):
    """The page as it opens; at the end of the test nothing may have gone wrong on it."""
    shared.emulate_media(color_scheme="light")
    yield opened(shared)
    assert shared.trouble == []


@pytest.fixture
def visit(browser):
    """A function that makes a page of its own, say with touch or without scripts; nothing may go wrong on it either."""
    pages = []

    def new(**settings):
        pages.append(watched(browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})))
        return pages[-1]

    yield new
    for page in pages:
        page.context.close()
        assert page.trouble == []


def state(page):
    return page.evaluate("toymodels.state")


def settle(page):
    """Wait until what was asked for is drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shares(page):
    page.wait_for_function("toymodels.state.shares")
    return state(page)["shares"]


def go(page, hash):
    """Follow an address within the page."""
    page.evaluate(
        """hash => new Promise(done => { if (location.hash.slice(1) === hash) done();
        else { addEventListener('hashchange', done, { once: true }); location.hash = hash; } })""",
        hash,
    )
    settle(page)


def slide(page, name, value):
    page.evaluate(
        "([id, v]) => { const i = document.getElementById(id); i.value = v; i.dispatchEvent(new Event('input')) }",
        [name, value],
    )
    settle(page)


def exact(W, b, density, importance):
    """The package's loss of one model."""
    model = tm.ReLUModel.from_weights(torch.tensor(W, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))
    features = tm.SparseFeatures(len(b), density)
    return tm.population_loss(model, features, torch.tensor(importance, dtype=torch.float64), terms=4096).item()


# 1
def test_opens_with_one_request_from_a_file_and_under_a_path(page):
    assert page.asked == [PAGE]
    assert "superposition has the lowest loss" in page.inner_text("#finding")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=ROOT))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with contextlib.closing(server.socket):
        url = f"http://127.0.0.1:{server.server_port}/docs/"
        assert opened(page, url=url).asked == [url]
        server.shutdown()


# 2
def test_loss_is_exact_and_its_gradient_is_that_of_the_loss(page):
    rng = np.random.default_rng(0)
    cases = []
    for n in (2, 3, 5, 6):
        for special in ("", "", "", "dead", "still", "on", "orthogonal", "tiny"):
            W, b, p = rng.normal(size=(1 if n == 2 else 2, n)) * 0.5, rng.normal(size=n) * 0.3, rng.uniform(0.02, 1)
            if special == "dead":
                W[:, 0] = 0
            if special == "still":
                b[:] = 0
            if special == "on":
                p = 1.0
            if special == "orthogonal" and n > 2:
                W[:, 1] = [-W[1, 0], W[0, 0]]
            if special == "tiny":
                W[:, 0] *= 1e-6
            cases.append({"W": W.tolist(), "b": b.tolist(), "p": p, "I": (0.9 ** np.arange(n)).tolist(), "is": special})
    results = page.evaluate(
        """cases => cases.map(({ W, b, p, I }) => {
          const g = toymodels.gradient(W, b, p, I), e = 3e-6, at = () => toymodels.loss(W, b, p, I);
          let worst = 0;
          for (const [values, slopes] of [...W.map((row, h) => [row, g.W[h]]), [b, g.b]]) values.forEach((w, j) => {
            values[j] = w + e; const up = at(); values[j] = w - e; const down = at(); values[j] = w;
            worst = Math.max(worst, Math.abs((up - down) / (2 * e) - slopes[j]));
          });
          return [toymodels.loss(W, b, p, I), toymodels.loss(W, b, b.map(() => p), I), g.loss, worst];
        })""",
        cases,
    )
    for case, (loss, by_list, with_slopes, worst) in zip(cases, results, strict=True):
        n, p = len(case["b"]), case["p"]
        if n > 2:
            weights = (np.array(case["W"]), np.array(case["b"]), np.full(n, p), np.array(case["I"]))
            assert loss == pytest.approx(oracle.population_loss(*weights), abs=1e-9), case
        # an output of tiny weight is where the package's series itself is good to 1e-7 only
        within = 1e-7 if case["is"] in ("tiny", "dead") else 1e-8
        assert loss == pytest.approx(exact(case["W"], case["b"], p, case["I"]), abs=within), case
        assert by_list == loss
        assert with_slopes == pytest.approx(loss, abs=1e-10)
        # a difference across a kink of the slope (b = 0, dead columns) is off by the step
        assert worst < (1e-6 if case["is"] not in ("still", "dead", "tiny") else 3e-5), case


# 3
def test_landscape_is_the_minimum_over_the_biases(page):
    for p, r in ((0.2, 0.5), (0.05, 1.0), (0.9, 3.0)):
        here, swapped = (
            np.array(page.evaluate(f"Array.from(toymodels.landscape({p}, {k}, 15, 1.5))")).reshape(15, 15)
            for k in (r, 1 / r)
        )
        assert abs(here - landscape.landscape(p, r, points=15).numpy()).max() < 1e-7
        assert abs(here - here[::-1, ::-1]).max() < 1e-12
        assert abs(here.T - r * swapped).max() < 1e-9


# 4
def test_phase_text_flips_once_at_the_relaxed_border(page):
    for p in (0.2, 0.5):
        go(page, f"p={p}")
        at = np.log10(landscape.border(torch.tensor([p], dtype=torch.float64)).item())
        texts = []
        for step in range(-6, 7):
            slide(page, "r", f"{max(at, -0.95) + 0.02 * step + 0.01:.4f}")
            here = state(page)
            assert abs(here["border"] / 10**at - 1) < 0.02
            texts.append(re.search(r", ([^,]+) has the lowest loss", page.inner_text("#finding"))[1])
            assert (texts[-1] == "superposition") == (np.log10(here["r"]) > at)
        assert len(set(texts)) == 2
        assert sum(a != b for a, b in itertools.pairwise(texts)) == 1


def test_minima_are_those_that_random_starts_find(page):
    rng = np.random.default_rng(3)
    for _ in range(10):
        p, r = round(float(10 ** rng.uniform(-1.7, -0.02)), 3), round(float(10 ** rng.uniform(-0.8, 0.8)), 3)
        found = landscape.local_minima(p, r, starts=500)
        listed = page.evaluate(f"toymodels.minima({p}, {r})")
        losses = sorted({round(loss, 6) for loss in found.loss.tolist()})
        assert np.allclose(sorted({round(m["loss"], 6) for m in listed}), losses, atol=3e-6), (p, r)
        assert listed[0]["phase"] == found.phase[0]


# 5
def test_shares_of_starts_are_the_package_s(page):
    p, r = 0.2, 0.5
    seen = shares(page)["minima"][0]
    runs = tm.restarts(
        tm.ReLUModel,
        tm.SparseFeatures(2, p),
        torch.tensor([1.0, r]),
        1,
        2000,
        torch.Generator().manual_seed(0),
        terms=1,
    )
    assert abs(seen - tm.success_rate(runs.loss, within=0.02).item()) < 0.05


def test_five_hundred_starts_in_pieces_succeed_as_often_as_in_the_notebook(page):
    go(page, "preset=pairs")
    # a clock that goes on by a millisecond a look: however fast the machine, no piece may train many starts
    page.evaluate("""() => { let now = 0; performance.now = () => ++now; window.pieces = 0;
        const later = setTimeout; window.setTimeout = (f, ms) => later(() => { window.pieces++; f() }, ms) }""")
    page.click("[data-starts='500']")
    page.wait_for_function("toymodels.state.runs && !toymodels.state.runs.busy")
    loss = np.array(state(page)["runs"]["loss"])
    assert len(loss) == 500
    assert page.evaluate("window.pieces") > 500  # a start is 30 pieces of twenty steps, of which a task may hold 16
    recorded = by_key(json.loads((ROOT / "figures" / "numbers.json").read_text()))
    assert abs((loss <= 1.01 * loss.min()).mean() - recorded["intro.success_pairs"]["value"]) < 0.06
    page.click("#dots", position={"x": 16, "y": 120})
    settle(page)
    assert "two pairs" in page.inner_text("#loss")


# 6
def test_cells_polished_in_the_page_have_the_diagram_s_loss(page):
    data = report.load_data("explorer_landscape", ROOT / "figures")
    rng = np.random.default_rng(0)
    cells = [(int(d), int(k)) for d, k in zip(rng.integers(0, 61, 1500), rng.integers(0, 61, 1500), strict=True)]
    losses = page.evaluate("cells => cells.map(([d, k]) => toymodels.cell(d, k).loss)", cells)
    expected = np.array([data["loss"][cell] for cell in cells])
    assert (abs(np.array(losses) - expected) < 1e-6).mean() >= 0.999


def test_numbers_of_the_notebooks_stand_on_the_page(page):
    recorded = by_key(json.loads((ROOT / "figures" / "numbers.json").read_text()))
    for name in ("dense", "pairs", "pentagon"):
        go(page, f"preset={name}")
        text = page.inner_text("#finding")
        assert re.search(r"(\d+) % of single", text)[1] == recorded[f"intro.success_{name}"]["text"].rstrip("%")
    gaps = np.diff(np.sort(np.degrees(np.arctan2(*np.array(state(page)["W"])[::-1])) % 360))
    assert gaps.min() > recorded["intro.angle_pentagon_low"]["value"] - 0.1
    data = report.load_data("intro_arrangements", ROOT / "figures")
    shown = float(re.search(r"Loss ([\d.]+[^.\s])", page.inner_text("#loss"))[1])
    assert shown == pytest.approx(float(data["loss"][2]), rel=1e-3)


def test_an_address_followed_while_a_change_waits_to_be_written_is_not_lost(page):
    go(page, "preset=dense")
    page.wait_for_timeout(300)  # until the page has written its address
    # what a write that was waiting does to an address followed just before
    page.evaluate("() => { location.hash = 'preset=pairs'; history.replaceState(null, '', '#preset=dense'); }")
    page.wait_for_function("toymodels.state.preset === 'pairs'", timeout=2000)


# 7
def test_dragging_an_arrow_gives_the_package_s_loss_and_descending_never_raises_it(page):
    go(page, "preset=pentagon")
    box = page.locator("#arrows").bounding_box()
    x, y = state(page)["places"]["tips"][2]
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + x + 30, box["y"] + y + 45, steps=5)
    page.mouse.up()
    settle(page)
    seen = []
    for act in (lambda: None, lambda: page.keyboard.press("ArrowLeft"), lambda: page.keyboard.press("ArrowUp")):
        act()
        settle(page)
        here = state(page)
        shown = float(re.search(r"Loss ([\d.]+\d)", page.inner_text("#loss"))[1])
        assert shown == pytest.approx(exact(here["W"], here["b"], here["p"], here["importance"]), rel=1e-4)
        seen.append(shown)
    assert len(set(seen)) == 3
    page.evaluate("""() => { window.losses = []; const look = () => { const s = toymodels.state;
        window.losses.push(toymodels.loss(s.W, s.b, s.p, s.importance)); requestAnimationFrame(look) }; look() }""")
    page.click("#descend")
    page.wait_for_function("window.losses.length > 40 && new Set(window.losses.slice(-20)).size === 1")
    losses = np.array(page.evaluate("window.losses"))
    assert (np.diff(losses) <= 1e-12).all()
    assert losses[-1] < losses[0]


# 8, the times themselves: benchmarks/explorer.py
def test_many_moves_between_two_frames_are_one_redraw(page):
    assert (ROOT / "docs" / "index.html").stat().st_size <= 300_000
    for hash, canvas, slider in (("", "landscape", "p1"), ("", "diagram", "r"), ("view=two", "gram", "p2")):
        go(page, hash)
        redraws = page.evaluate(
            """([canvas, slider]) => new Promise(done => requestAnimationFrame(() => {
              const c = document.getElementById(canvas).getContext('2d'), clear = c.clearRect.bind(c);
              const input = document.getElementById(slider);
              let count = 0;
              c.clearRect = (...box) => { count++; clear(...box) };
              for (let k = 0; k < 20; k++) {
                input.value = Number(input.min) + (input.max - input.min) * (0.3 + 0.02 * k);
                input.dispatchEvent(new Event('input'));
              }
              requestAnimationFrame(() => setTimeout(() => { delete c.clearRect; done(count) }));
            }))""",
            [canvas, slider],
        )
        assert redraws == 1, (canvas, slider)


# 9
def test_state_survives_in_the_address(page):
    picture = "id => document.getElementById(id).toDataURL()"
    wanted = {
        "p=0.31&r=2.2&layer=success&ground=basins&start=-0.4,1.1&lr=0.1": ["diagram", "landscape", "cut", "does"],
        "view=two&p=0.4&n=4&ratio=0.8&W=1,0.2,-0.9,0,0.1,0.9,0,-1&b=0,0,0.1,0": ["arrows", "gram", "strip"],
    }
    for hash, canvases in wanted.items():
        texts, pixels, hashes = [], [], [hash]
        for _ in range(2):
            opened(page, hashes[-1])
            page.wait_for_function("toymodels.state.view === 'two' ? toymodels.state.sliced : toymodels.state.shares")
            settle(page)
            texts.append(page.inner_text("main"))
            pixels.append([page.evaluate(picture, canvas) for canvas in canvases])
            hashes.append(state(page)["hash"])
        assert texts[0] == texts[1]
        assert pixels[0] == pixels[1]
        assert hashes[1] == hashes[2]


MALFORMED = [
    "p=-1",
    "p=nan",
    "p=1e9",
    "r=Infinity",
    "p=0x10",
    "view=three",
    "preset=__proto__",
    "constructor=1",
    "__proto__=1",
    "W=1,2,3",
    "b=a,b",
    "n=7",
    "n=2.5",
    "start=9",
    "start=1,b",
    "lr=0",
    "%E0%A4%A",
    "p=%zz",
    "&&&===",
    "layer=<b>",
]


def test_malformed_addresses_give_the_defaults(page):
    assert len(MALFORMED) == 20
    normal = state(page)
    for hash in MALFORMED:
        page.evaluate("hash => { location.hash = hash }", hash)
        settle(page)
        settle(page)
        here = state(page)
        for key in ("view", "p", "r", "n", "ratio", "start", "layer", "ground", "optimizer", "lr", "preset"):
            assert here[key] == normal[key], (hash, key)


def test_numbers_typed_out_of_range_are_clamped_with_a_message(page):
    for name, text, value in (("p1-number", "7", 1), ("p1-number", "0", 0.01), ("r-number", "1000", 10)):
        page.fill(f"#{name}", text)
        page.press(f"#{name}", "Enter")
        settle(page)
        assert state(page)[name[0]] == value
        assert f"became {value}" in page.inner_text("#warning")
    page.fill("#r-number", "many")
    page.press("#r-number", "Enter")
    assert "must be a number" in page.inner_text("#warning")


# 10
def test_everything_by_keyboard(page):
    names = []
    for _ in range(24):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    for name in ("tab-two", "copy", "diagram", "p1", "r", "landscape", "lr"):
        assert name in names, names
    before = state(page)
    page.focus("#diagram")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.focus("#landscape")
    page.keyboard.press("ArrowDown")
    settle(page)
    after = state(page)
    assert after["p"] < before["p"]
    assert after["r"] > before["r"]
    assert after["start"][1] < before["start"][1]
    assert page.get_attribute("#p1", "aria-valuetext").startswith("density 0.1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(page, scheme):
    folder = importlib.util.find_spec("axe_playwright_python").submodule_search_locations[0]
    script = (Path(folder) / "axe.min.js").read_text()
    page.emulate_media(color_scheme=scheme)
    for hash in ("", "preset=pairs"):
        opened(page, hash)
        page.evaluate(script)
        found = page.evaluate("axe.run().then(result => result.violations)")
        serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == []


def test_narrow_touch_screen(visit):
    page = visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for hash in ("", "preset=pairs"):
        opened(page, hash)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        small = page.evaluate("""() => [...document.querySelectorAll('button, nav a, input')]
            .filter(e => e.offsetParent && e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML)""")
        assert small == []
        page.tap("#tab-two" if hash == "" else "#tab-one")
        settle(page)
        assert state(page)["view"] == ("two" if hash == "" else "one")


def test_phases_differ_for_deuteranopes():
    matrix = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])  # Machado 2009
    colours = [np.array([int(c[k : k + 2], 16) for k in (1, 3, 5)]) / 255 for c in phases.PHASE_COLOURS.values()]
    seen = [matrix @ np.where(c <= 0.04, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in colours[:3]]
    for i in range(3):
        for j in range(i):
            assert np.linalg.norm(seen[i] - seen[j]) > 0.25


# 11
def test_a_thousand_random_actions_break_nothing(page):
    session = page.context.new_cdp_session(page)

    def heap():
        session.send("HeapProfiler.collectGarbage")
        return session.send("Runtime.getHeapUsage")["usedSize"] / 1e6

    act = """async count => {
      let seed = 1;
      const random = () => (seed = seed * 16807 % 2147483647) / 2147483647, pick = list => list[Math.floor(random() * list.length)];
      const shown = selector => [...document.querySelectorAll(selector)].filter(e => e.offsetParent && e.id !== 'copy');
      for (let k = 0; k < count; k++) {
        const kind = random();
        if (kind < 0.35) { const i = pick(shown('input[type=range]')); i.value = Number(i.min) + random() * (i.max - i.min); i.dispatchEvent(new Event('input')); }
        else if (kind < 0.5) pick(shown('button, nav a')).click();
        else if (kind < 0.6) { const i = pick(shown('input[type=text]')); i.value = pick(['0.3', '7', '', 'x', '-2', '1e-9']); i.dispatchEvent(new Event('change')); }
        else if (kind < 0.75) pick(shown('canvas')).dispatchEvent(new KeyboardEvent('keydown', { key: pick(['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', '1', '3', '6']), bubbles: true }));
        else {
          const c = pick(shown('canvas')), box = c.getBoundingClientRect();
          c.setPointerCapture = () => {};
          for (const type of ['pointermove', 'pointerdown', 'pointermove', 'pointerup', 'click']) c.dispatchEvent(new PointerEvent(type, { clientX: box.left + random() * box.width, clientY: box.top + random() * box.height, pointerId: 1, bubbles: true }));
        }
        if (k % 5 === 0) await new Promise(requestAnimationFrame);
        if (/NaN|undefined|Infinity/.test(document.body.innerText)) throw new Error('bad text: ' + document.body.innerText.match(/.{30}(NaN|undefined|Infinity).{10}/));
      }
    }"""  # noqa: E501
    page.evaluate(act, 100)
    before = heap()
    page.evaluate(act, 1000)
    assert heap() - before < 20
    assert np.isfinite(np.array(state(page)["W"])).all()


# 12
def test_without_scripts_the_figure_and_its_sentence_are_there(visit):
    page = visit(java_script_enabled=False)
    page.goto(PAGE)
    assert page.locator("noscript img").bounding_box()["width"] > 300
    assert "share directions" in page.inner_text("main")


def test_two_frames_on_one_page_do_not_disturb_each_other(page, tmp_path):
    frames = [explorer.show(text)._repr_html_() for text in ("preset=pairs", "p=0.5&r=1.5")]
    (tmp_path / "notebook.html").write_text(f"<!doctype html><title>t</title>{frames[0]}{frames[1]}")
    page.goto((tmp_path / "notebook.html").as_uri())
    for frame in page.frames[1:]:
        frame.wait_for_function(READY)
    first, second = page.frames[1:]
    assert first.evaluate("toymodels.state.p") == 0.2
    slide(second, "r", 0.5)
    second.wait_for_function("Math.abs(toymodels.state.r - 10 ** 0.5) < 1e-3")
    assert first.evaluate("toymodels.state.view") == "two"
    assert second.evaluate("toymodels.state.p") == 0.5
    first.click("text=4 Pentagon")
    first.wait_for_function("toymodels.state.p === 0.1")
