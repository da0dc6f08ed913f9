"""The page docs/index.html in Chromium: until it is ready, frames while sliders move and the density plays, and tasks.

Times on the wall: on a busy machine they say nothing about the page, so look at the line of the empty page first.

    python benchmarks/explorer.py
"""

import shutil
import sys
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[1] / "docs" / "index.html"
EMPTY = """() => new Promise(done => {
  const frames = [];
  let last = 0;
  const next = now => {
    if (last) frames.push(now - last);
    last = now;
    if (frames.length < 100) requestAnimationFrame(next); else done(frames);
  };
  requestAnimationFrame(next);
})"""
MOVE = """id => new Promise(done => {
  const input = document.getElementById(id), frames = [], work = [];
  let k = 0, last = 0;
  const next = now => {
    if (last) frames.push(now - last);
    last = now;
    if (k++ >= 100) { done([frames, work]); return; }
    let begin;
    requestAnimationFrame(() => { begin = performance.now() });
    input.value = Number(input.min) + (Number(input.max) - Number(input.min)) * (0.15 + 0.7 * k / 100);
    input.dispatchEvent(new Event('input'));
    requestAnimationFrame(() => { work.push(performance.now() - begin) });
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""
TASKS = """() => { window.tasks = []; new PerformanceObserver(seen => window.tasks.push(
  ...seen.getEntries().map(entry => entry.duration))).observe({ entryTypes: ['longtask'] }) }"""


def visit(browser, state="view=one"):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{PAGE.as_uri()}#{state}")
    page.wait_for_function("document.documentElement.dataset.ready")
    return page


def main():
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("needs Chromium: scripts/provide.sh browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        print(f"{PAGE.stat().st_size / 1000:.0f} kB")
        ready = [float(visit(browser).evaluate("document.documentElement.dataset.ready")) for _ in range(5)]
        print(f"ready after {np.median(ready):.0f} ms (median of 5)")
        frames = browser.new_page().evaluate(EMPTY)
        print(f"empty page: median frame {np.median(frames):.1f} ms, 95 % {np.percentile(frames, 95):.1f} ms")
        for view, slider in (("one", "p1"), ("one", "r"), ("two", "p2")):
            page = visit(browser, f"view={view}")
            frames, work = page.evaluate(MOVE, slider)
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
            slow = page.evaluate(MOVE, slider)[1]
            print(
                f"slider {slider}: median frame {np.median(frames):.1f} ms, 95 % {np.percentile(frames, 95):.1f} ms; "
                f"work for a move {np.median(work):.1f} ms, {np.median(slow):.1f} ms at a quarter of the speed"
            )
        page = visit(browser, "view=two&p=1")
        page.click("#play")
        frames = page.evaluate(EMPTY)
        print(f"density plays: median frame {np.median(frames):.1f} ms, 95 % {np.percentile(frames, 95):.1f} ms")
        page = visit(browser, "view=two&p=0.2")
        page.evaluate(TASKS)
        page.click("[data-starts='500']")
        page.wait_for_function("toymodels.state.runs && !toymodels.state.runs.busy", timeout=300_000)
        tasks = page.evaluate("window.tasks")
        print(f"500 starts: {len(tasks)} tasks above 50 ms, the longest {max(tasks, default=0):.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
