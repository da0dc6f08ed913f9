// The guided story: a question, the reader's guess, the answer on the page itself, and the next step.
const story = (() => {
  const $ = id => document.getElementById(id);
  // show: what stands on the page while the question is asked; without it what the previous step ended with.
  const STEPS = [
    {
      preset: 'input', name: 'The model',
      question: 'A network notices things: a cat, a face, a name. Call each a feature. Here five features x must pass '
        + 'through two numbers, h = Wx, and come back: x\u0302 = ReLU(W\u1d40h + b). Arrow i, a column of W, is the '
        + 'direction in which feature i is written. Feature 1 alone is on, so h lies on arrow 1. Which outputs light up?',
      guesses: ['only output 1', 'output 1 and its neighbours', 'all five'], right: 0, show: 'input',
      answer: 'Only output 1, nearly. Outputs whose arrows point away receive a negative number, and the ReLU makes '
        + 'it 0. Neighbours receive a small positive one. Their biases b, added at the end, are negative and '
        + 'silence most of it. Now move the sliders.',
    },
    {
      preset: 'dense', name: 'Dense',
      question: 'The density p is the chance that a feature is on. Let all five be on all the time (p = 1). Feature 1 '
        + 'counts most, each further one a little less. How many arrows does the best model keep?',
      guesses: ['two', 'three', 'five'], right: 0,
      answer: 'Two, at right angles: one dimension each. A third arrow would disturb them in every example. Three '
        + 'features are given up; their biases guess the average.',
    },
    {
      preset: 'triangle', name: 'Triangle',
      question: 'Now each feature is off in more than a third of the examples (p = 0.63). What changes?',
      guesses: ['nothing', 'a third arrow appears', 'all five appear'], right: 1,
      answer: 'A third arrow appears, and the three stand like a triangle. They disturb one another only when two are '
        + 'on at once, which has become rarer. This is superposition: more features than dimensions.',
    },
    {
      preset: 'pairs', name: 'Two pairs',
      question: 'At p = 0.2 four arrows fit into two dimensions. How do they stand?',
      guesses: ['in two opposite pairs', 'all in one half', 'wherever they started'], right: 0,
      answer: 'In two opposite pairs. When feature 1 is on, its opposite receives a negative number, which the ReLU '
        + 'removes at no cost. Only when both are on do they cancel.',
    },
    {
      preset: 'pentagon', name: 'Pentagon',
      question: 'Halve the density to p = 0.1. Does the fifth feature still have to stay out?',
      guesses: ['yes', 'no'], right: 1,
      answer: 'No: all five fit, 72 degrees apart. Neighbours now disturb each other a little. Negative biases remove '
        + 'that, and longer arrows make up for what the biases take away.',
    },
    {
      preset: 'sweep', name: 'Watch it',
      question: 'Let the density fall slowly from 1 to 0.01. Do the arrows rearrange little by little, or in jumps?',
      guesses: ['little by little', 'in jumps', 'both'], right: 2, start: () => {
        redraw.change({ p: 1 }, 'density');
        play.start();
      },
      answer: 'Both. The third arrow grows little by little. The fourth and the fifth come in jumps: another '
        + 'arrangement becomes the lowest, and the page glides from one to the other.',
    },
    {
      preset: 'starts', name: 'Many starts',
      question: 'The pictures show the best of many training runs. Training starts from random weights and goes '
        + 'downhill in the loss, the expected error. At p = 0.2, how many of 100 starts reach the lowest loss, the two '
        + 'pairs shown?',
      guesses: ['nearly all', 'about two thirds', 'about one third'], right: 2, show: 'pairs',
      answer: 'About one third. Another third also forms two pairs, but leaves out a more important feature. The rest '
        + 'stops in arrangements that no small step improves. Click a dot to see its arrows; low losses stand left.',
    },
    {
      preset: 'beat', name: 'Match it',
      question: 'Can you place five arrows at p = 0.1 so well that no better place is known?',
      guesses: ['let me try'], right: 0,
      answer: 'Drag the tips, or choose an arrow by its number and move it with the arrow keys. The biases follow at '
        + 'their best values. Hint: with importances that differ, it matters who stands next to whom.',
    },
    {
      preset: 'superposition', name: 'Smallest case',
      question: 'Two features and one neuron: each feature has one weight. Suppose p = 0.2, and feature 2 counts half '
        + 'as much as feature 1 (importance r = 0.5). Keep only feature 1, or let both share the neuron with opposite '
        + 'signs?',
      guesses: ['keep only feature 1', 'share'], right: 1, show: 'dense-one',
      answer: 'Share. Keeping feature 2 gains a loss of order p. Sharing costs only when both are on, of order '
        + 'p\u00b2. Drag the cross to the left: for dense data the cost wins.',
    },
    {
      preset: 'trap', name: 'The trap',
      question: 'The lowest valleys have weights of opposite signs. A start is a point in this plane, and training '
        + 'rolls downhill. Where does a start with two positive weights end?',
      guesses: ['in the lowest valley', 'in a worse valley'], right: 1, show: 'superposition',
      answer: 'Mostly in a worse valley: it would have to cross a ridge to turn one sign around. Colours show who '
        + 'ends where. Drag the start, or try another learning rate.',
    },
    {
      preset: 'read', name: 'Read it back',
      question: 'To see what a network notices, one would like the features back from h alone. A sparse autoencoder '
        + 'tries: it learns five arrows, adds up few of them to write h again, and pays \u03bb for each unit of '
        + 'length. At \u03bb = 0.3 an arrow lies on each feature. Make the penalty small. Do the arrows stay?',
      guesses: ['they stay', 'they turn away'], right: 1, show: 'large',
      answer: 'They turn away. This dictionary has the lowest loss that a search found, lower than that of the true '
        + 'one. So better training would not help: the objective itself prefers it. The slider shows the border.',
    },
  ];
  // what is shown before an answer and is no step itself
  const BEFORE = { 'dense-one': 'view=one&p=0.9', large: 'view=dictionary' };

  const here = { open: false, step: 0, asking: false, guess: -1 };
  const current = () => STEPS[here.step];

  function ask(step) { // go to a step; the page shows what it showed before the answer
    const stays = !here.asking && step === here.step + 1; // the reader comes from the step before
    Object.assign(here, { open: true, step, asking: true, guess: -1 });
    const show = current().show ?? (stays ? null : STEPS[step - 1].preset);
    plane.stop();
    if (show) main.show(address.read(BEFORE[show] ?? `preset=${show}`));
    draw();
  }
  function tell(guess = -1) {
    Object.assign(here, { asking: false, guess });
    const { preset, start } = current();
    main.show(address.read(`preset=${preset}`), plane.glide);
    if (start) start();
    draw();
  }
  function meet(preset) { // a step that is opened by its address, with its answer
    const step = STEPS.findIndex(one => one.preset === preset);
    Object.assign(here, { open: step >= 0, step: Math.max(0, step), asking: preset === 'input', guess: -1 });
    draw();
  }

  function button(text, act) {
    const node = Object.assign(document.createElement('button'), { type: 'button', textContent: text });
    node.onclick = act;
    return node;
  }
  function draw() {
    const { question, guesses, right, answer } = current(), last = here.step === STEPS.length - 1;
    $('story').hidden = !here.open;
    $('open-story').setAttribute('aria-expanded', here.open);
    document.documentElement.dataset.step = here.open ? current().preset : '';
    document.documentElement.dataset.asking = here.open && here.asking ? current().preset : '';
    $('question').textContent = question;
    $('guesses').hidden = !here.asking;
    if (here.asking) $('guesses').replaceChildren(...guesses.map((text, k) => button(text, () => {
      tell(k);
      $('next').focus();
    })));
    const reply = here.guess < 0 || guesses.length < 2 ? ''
      : here.guess === right ? 'Right. ' : `You said: ${guesses[here.guess]}. `;
    redraw.fill($('answer'), here.asking ? [] : [[reply, 1], answer]);
    $('finding').hidden = here.open; // the answer says it
    $('place').textContent = `${here.step + 1} of ${STEPS.length}`;
    $('back').disabled = here.step === 0;
    $('next').textContent = here.asking ? 'Answer' : last ? 'Explore' : 'Next';
    document.querySelectorAll('.steps a').forEach((a, k) => {
      if (k === here.step) a.setAttribute('aria-current', 'step'); else a.removeAttribute('aria-current');
    });
    redraw.schedule('all');
  }
  function close() {
    here.open = here.asking = false;
    draw();
  }

  $('next').onclick = () => here.asking ? tell() : here.step < STEPS.length - 1 ? ask(here.step + 1) : close();
  $('back').onclick = () => ask(here.step - 1);
  $('open-story').onclick = () => here.open ? close() : ask(here.step);
  $('steps').replaceChildren(...STEPS.map(({ preset, name }, k) => {
    const link = { href: `#preset=${preset}`, textContent: `${k + 1} ${name}` };
    const a = Object.assign(document.createElement('a'), link);
    a.onclick = event => { // works in a frame too, where an address may not change
      event.preventDefault();
      ask(k);
    };
    return a;
  }));
  return { here, meet, close };
})();
