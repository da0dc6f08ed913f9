// One redraw a frame: what changes says which parts it touches, and each view draws those parts that it shows.
const redraw = (() => {
  // name: { enter(), draw(is) }; is('part', …) answers whether one of these parts is asked for. A view stands in the
  // section whose id is its name. A script whose data are missing registers no view, and then the tab is hidden.
  const views = {};
  const after = []; // called at the end of each frame
  let dirty = new Set(), waiting = 0;
  function schedule(...parts) {
    parts.forEach(part => dirty.add(part));
    if (!waiting) waiting = requestAnimationFrame(frame);
  }
  function frame() {
    const asked = dirty;
    waiting = 0;
    dirty = new Set();
    views[state.view].draw((...parts) => parts.some(part => asked.has(part)) || asked.has('all'));
    after.forEach(act => act());
    if (asked.has('ready')) document.documentElement.dataset.ready = Math.round(performance.now());
  }

  let wrote = '', saving = 0, at = null; // at: the place of the page whose entry in the history is the present one
  function write(how) { // with what the address does not say of the story; in a frame without a real address only location.hash works
    clearTimeout(saving);
    wrote = address.write(state);
    try { history[how]({ ...story.here }, '', '#' + wrote); } catch { location.hash = wrote; }
  }
  function save() { // another place is an entry of its own, to which Back returns; else the address follows a moment later
    const { open, step, asking } = story.here, place = [state.view, open, step, asking].join();
    clearTimeout(saving);
    if (at !== null && at !== place) write('pushState'); else saving = setTimeout(write, 250, 'replaceState');
    at = place;
  }
  function arrive(hash) { // by Back or a link: the entry is there
    at = null;
    wrote = hash.slice(1);
  }
  function change(values, ...parts) {
    Object.assign(state, values); // a step of the story keeps its name, and the address what differs from it
    save();
    schedule(...parts);
  }
  function foreign(hash) { // whether an address was asked for by someone else
    if (hash === '#' + wrote) return false;
    arrive(hash);
    return true;
  }
  // Work in pieces between frames: next() does a little and answers whether there is more. Returns { stop }.
  function inPieces(next, { wait = 0, budget = 9, pause = () => {} } = {}) {
    const job = { stop: false };
    const piece = () => {
      const until = performance.now() + budget;
      let more = true;
      while (!job.stop && more && performance.now() < until) more = next();
      if (job.stop) return;
      pause(!more);
      if (more) setTimeout(piece);
    };
    setTimeout(piece, wait);
    return job;
  }
  function fill(element, pieces) { // text, of which [text, 1] is bold; left alone if it says the same
    const plain = pieces.map(piece => [].concat(piece)[0]).join('');
    if (element.textContent === plain) return;
    element.textContent = '';
    for (const piece of pieces) {
      if (!Array.isArray(piece)) {
        element.append(piece);
        continue;
      }
      const bold = document.createElement('b');
      bold.textContent = piece[0];
      element.append(bold);
    }
  }
  // A motion that slows down: move(part) goes a share of the way that is left, each frame until it answers false.
  function eased(tempo, move) {
    let last = 0, running = false;
    function step(now) {
      const part = 1 - Math.exp(-Math.max(0, now - last) / tempo());
      last = now;
      running = move(part);
      if (running) requestAnimationFrame(step);
    }
    return () => {
      if (running) return;
      running = true;
      last = performance.now();
      requestAnimationFrame(step);
    };
  }
  function press(name, value) { // of the buttons with data-NAME the one of this value
    document.querySelectorAll(`[data-${name}]`).forEach(button => {
      button.setAttribute('aria-pressed', button.dataset[name] === String(value));
    });
  }
  function bar(element, value) { // of -1 to 1, from a zero inside it: what the ReLU removes goes to the left
    element.firstChild.style.width = `${44 * Math.min(1, Math.abs(value))}%`;
    element.firstChild.className = (value < 0 ? 'below' : '') + (Math.abs(value) > 1 ? ' longer' : '');
  }
  const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
  return { views, after, schedule, save, change, arrive, foreign, inPieces, fill, eased, press, bar, still };
})();
