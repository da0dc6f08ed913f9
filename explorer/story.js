// The guided story: a question, the reader's guess, the answer on the page itself, and the next step.
const story = (() => {
  const $ = id => document.getElementById(id), { lowest, own } = DATA.dictionary.story;
  // lead: what the question needs; ask, tell: the parts of the page (data-part) that stand while the question is asked,
  // and those that its answer adds; show: the address of the page while it is asked, without it what the step before
  // ended with; before: the picture then says at which density it stands; large: its picture is not made small on a
  // phone; acts: buttons and links beside the answer. A step without guesses is told at once.
  const DENSITY = { ask: '', tell: 'loss density strip', before: true };
  const STEPS = [
    {
      preset: 'input', name: 'the model', show: 'preset=input', ask: 'inputs',
      lead: 'A network notices things: a cat, a face, a name. Call each a feature. Here five features x pass through '
        + 'two numbers, h = Wx, and come back as x\u0302 = ReLU(W\u1d40h + b). Arrow i is the direction in which feature '
        + 'i is written.',
      question: 'Feature 1 alone is on, so h lies on arrow 1. Which outputs answer?',
      guesses: ['only 1, exactly', '1 most, its neighbours a little', 'all five'], right: 1,
      answer: '1.03 for feature 1, and 0.13 and 0.14 for its neighbours. Arrows 4 and 5 point away: they receive about '
        + '\u22121.2, and the ReLU makes it 0. Move the sliders. With all on, h falls to nearly 0 and every output is '
        + 'silent.',
      acts: [['All on', () => $('every').click()]], // on a phone that button lies below the window
    },
    {
      preset: 'dense', name: 'all on', ...DENSITY,
      lead: 'The density p is the chance that a feature is on. Let all five be on all the time: p = 1. Feature 1 counts '
        + 'most, each further one a little less. The best model is the one with the lowest loss.',
      question: 'How many arrows does the best model keep?', guesses: ['two', 'three', 'five'], right: 0,
      answer: 'Two, at right angles: one dimension each. A third arrow would disturb them in every example. Three '
        + 'features are left out; their biases guess the average. (The loss is the expected squared error, each feature '
        + 'weighed by how much it counts.)',
    },
    {
      preset: 'triangle', name: 'p = 0.63', ...DENSITY,
      lead: 'Now each feature is off in more than a third of the examples: p = 0.63.',
      question: 'What changes?', guesses: ['nothing', 'a third arrow appears', 'all five appear'], right: 1,
      answer: 'A third arrow appears, and the three stand like a triangle. They disturb one another only when two are '
        + 'on at once, which has become rarer. This is superposition: more features than dimensions. (Do not compare '
        + 'losses between densities: a feature that is left out is now harder to guess.)',
    },
    {
      preset: 'pairs', name: 'p = 0.2', ...DENSITY,
      question: 'At p = 0.2 four arrows fit into two dimensions. How do they stand?',
      guesses: ['in two opposite pairs', 'all in one half', 'wherever they started'], right: 0,
      answer: 'In two opposite pairs. When feature 1 is on, its opposite receives a negative number, and the ReLU makes '
        + 'it 0. Only when both are on do they cancel. Without the ReLU this would not pay: the best linear model keeps '
        + 'two features at every density. Here its loss is 0.124, that of the two pairs 0.060.',
    },
    {
      preset: 'pentagon', name: 'p = 0.1', ...DENSITY,
      question: 'Halve the density to p = 0.1. Does the fifth feature still have to stay out?',
      guesses: ['yes', 'no'], right: 1,
      answer: 'No: all five fit, 72 degrees apart. Neighbours now disturb each other a little. Negative biases remove '
        + 'most of it, and longer arrows make up for what the biases take away.',
    },
    {
      preset: 'sweep', name: 'watch it', ...DENSITY,
      question: 'Let the density fall slowly from 1. Do the arrows rearrange little by little, or in jumps?',
      guesses: ['little by little', 'in jumps', 'both'], right: 2, start: () => {
        redraw.change({ p: 1 }, 'density');
        play.start();
      },
      answer: 'Both. The third arrow grows little by little. The fourth and the fifth come in jumps: another '
        + 'arrangement becomes the lowest, and the page glides from one to the other.',
    },
    {
      preset: 'starts', name: 'many starts', show: 'preset=pairs', ask: '', tell: 'starts',
      lead: 'The pictures show the best of many training runs. Training starts from random weights and goes downhill in '
        + 'the loss.',
      question: 'At p = 0.2, how many of 100 starts reach the lowest loss, that of the two pairs shown?',
      guesses: ['nearly all', 'about two thirds', 'about one third'], right: 2,
      answer: 'About one third. Another third also forms two pairs, but leaves out a feature that counts more than '
        + 'feature 5. The rest stops in arrangements that no small step improves. Click or tap a dot to see its arrows.',
    },
    {
      preset: 'beat', name: 'match it', show: 'preset=beat', ask: 'loss buttons', large: true,
      question: 'Can you place five arrows at p = 0.1 so well that no better place is known?',
      answer: 'Drag the tips. The bright spot is where the chosen arrow is best, with the others as they stand. Each '
        + 'bias follows at its best value. Within 10 % of the best, \u201cDescend\u201d goes the last bit.',
    },
    {
      preset: 'superposition', name: 'smallest case', show: 'preset=superposition', ask: 'diagram', tell: 'controls cut does',
      lead: 'Two features and one neuron: each feature has one weight. Let p = 0.2, and let feature 2 count half as much '
        + 'as feature 1: importance r = 0.5.',
      question: 'Keep only feature 1, or let both share the neuron with opposite signs?',
      guesses: ['keep only feature 1', 'share'], right: 1,
      answer: 'Share. Keeping feature 2 as well saves error of order p. Sharing costs only when both are on: of order '
        + 'p\u00b2. In the plot of losses, orange and light blue cross at r = 0.11: below, sharing stops paying. Now drag '
        + 'the cross in the map to the left: for dense data the cost wins.',
    },
    {
      preset: 'trap', name: 'two weights', show: 'preset=trap&ground=loss', ask: 'landscape', tell: 'end minima',
      lead: 'A point in this plane is a pair of weights, and dark is a high loss. The lowest valleys have weights of '
        + 'opposite signs. Training rolls downhill from its start.',
      question: 'Where does a start with two positive weights end?',
      guesses: ['in the lowest valley', 'in a worse valley'], right: 1,
      answer: 'In the worse valley. The signs decide: to turn one around, gradient descent would have to climb the ridge '
        + 'between them. Now press Adam: at this learning rate, 0.1, it rolls over the ridge, and 89 % of the starts find '
        + 'the lowest valley. Drag the start.',
      acts: [['Adam', 'adam'], ['gradient descent', 'gd']].map(([name, optimizer]) => {
        return [name, () => redraw.change({ optimizer }, 'start', 'shares'), { optimizer }];
      }),
    },
    {
      preset: 'read', name: 'read it back', show: 'view=dictionary', ask: '', tell: 'border counts',
      lead: 'To see what a network notices, one would like the features back from h alone. A sparse autoencoder tries: '
        + 'it learns five arrows, its dictionary. It adds up few of them to write h again, and pays \u03bb for each unit '
        + 'of length. At \u03bb = 0.3 an arrow lies on each feature, the true dictionary.',
      question: 'Make the penalty small. Do the arrows stay?', guesses: ['they stay', 'they turn away'], right: 1,
      answer: `They turn away. At \u03bb = 0.05 the dictionary shown has a loss of ${lowest.toFixed(4)}. The best with its `
        + `arrows on the features has ${own.toFixed(4)}. So better training would not help: the objective itself prefers `
        + 'to turn. The slider shows the border.',
    },
    {
      name: 'in short', ask: '', question: 'What you have seen',
      list: [
        'On dense data a model keeps as many features as it has dimensions.',
        'On sparse data it keeps more, because the ReLU removes interference while a feature is on alone.',
        'Each further feature saves error of order p. Sharing costs error of order p\u00b2.',
        'Training often stops in a worse arrangement.',
        'What a sparse autoencoder likes best need not be the features.',
      ],
      answer: 'And real networks? There nobody knows the features beforehand. If they share directions as here, one neuron '
        + 'answers to several of them, and a sparse autoencoder may read something else. That both can happen is seen '
        + 'here, where the truth is known. How often they happen in a large network, this page does not show.',
      acts: [['Start again', () => ask(0)]],
    },
  ];

  const here = { open: false, step: 0, asking: false, guess: -1, told: false }; // told: as the story was left
  const current = () => STEPS[here.step], LAST = STEPS.length - 1;

  // Go to a step; the page shows what it showed before the answer. stays: the reader comes from the step before.
  function ask(step, stays = here.open && !here.asking && step === here.step + 1) {
    Object.assign(here, { open: true, step, asking: !!STEPS[step].guesses, guess: -1 });
    const show = current().show ?? (stays ? null : `preset=${STEPS[step - 1].preset}`);
    plane.stop();
    if (show) main.show(address.read(show), plane.face);
    redraw.save();
    turn();
  }
  function tell(guess = -1) {
    Object.assign(here, { open: true, asking: false, guess });
    const { preset, start } = current();
    $('events').replaceChildren();
    main.show(address.read(`preset=${preset}`), plane.glide);
    if (start) start();
    if (preset === 'read') document.querySelector('details').open = true;
    turn();
  }
  function turn() { // the card turns: what it speaks of stands below it
    draw();
    scrollTo({ top: 0 });
  }
  // An address: a step is opened with its answer, or with its question if that is asked for. left: what was of it, as
  // the history keeps it.
  function meet(next, left = {}) {
    const { preset } = next, step = STEPS.findIndex(one => one.preset === preset && preset);
    if (step >= 0 && next.ask) {
      ask(step, false);
      return;
    }
    Object.assign(here, { open: step >= 0, step: Math.max(0, step), asking: false, guess: -1, told: false }, left);
    main.show(next);
    draw();
  }

  function element(tag, values) {
    return Object.assign(document.createElement(tag), values);
  }
  function made(text, act, data = {}) { // a button, or a link if act is an address
    const textContent = format.tied(text), link = typeof act === 'string';
    const node = link ? element('a', { textContent, href: act }) : element('button', { textContent, type: 'button', onclick: act });
    Object.assign(node.dataset, data);
    return node;
  }
  function reply() { // what the page says to a guess: a mark and words
    const { right, guesses = [], start } = current(), { guess } = here;
    const pieces = start && play.running ? ['', 'Watch arrows 3, 4 and 5.'] : guess < 0 ? [] : guess === right ? ['\u2713', ' Right.']
      : ['\u2717', ` Not quite. You said: ${guesses[guess]}.`];
    $('reply').className = guess === right ? 'right' : '';
    redraw.fill($('reply'), pieces.map((text, k) => k ? text : [text, 1]));
  }
  function witness(event) { // while the density plays the card tells what happens, where the answer will stand
    $('events').append(element('span', { textContent: `${format.tied(`p = ${format.short(state.p, 2)}`)}: ${event}.` }));
  }
  function draw() {
    const { preset, lead = '', question, guesses = [], list = [], answer, acts = [], ask: asked, tell: told = '', start } = current();
    const parts = [asked, here.asking ? '' : told].join(' ').split(' ');
    $('story').hidden = $('steps').hidden = !here.open;
    $('open-story').setAttribute('aria-expanded', here.open);
    document.documentElement.dataset.step = here.open ? preset ?? 'end' : '';
    document.documentElement.dataset.asking = here.open && here.asking ? preset : '';
    document.querySelectorAll('[data-part]').forEach(element => {
      element.classList.toggle('away', here.open && !parts.includes(element.dataset.part));
    });
    $('asked').classList.toggle('away', !here.asking);
    $('told').classList.toggle('away', here.asking);
    $('lead').textContent = format.tied(lead);
    document.querySelectorAll('.question').forEach(element => { element.textContent = format.tied(question); });
    $('guesses').replaceChildren(...guesses.map((text, k) => made(text, () => {
      tell(k);
      $('next').focus({ preventScroll: true });
    })));
    $('acts').replaceChildren(...acts.map(act => made(...act)));
    $('list').hidden = !list.length;
    $('list').replaceChildren(...list.map(textContent => element('li', { textContent })));
    $('answer').textContent = format.tied(answer);
    $('answer').classList.toggle('waiting', !!start && play.running);
    $('events').classList.toggle('away', !start || !play.running);
    reply();
    $('finding').hidden = here.open; // the answer says it
    $('place').value = here.step;
    $('pager').style.setProperty('--part', (here.step + 1) / STEPS.length);
    $('back').disabled = here.step === 0;
    $('next').textContent = here.step === LAST ? 'Explore' : here.asking ? 'Answer' : 'Next';
    document.querySelectorAll('.steps a').forEach((a, k) => {
      if (k === here.step) a.setAttribute('aria-current', 'step'); else a.removeAttribute('aria-current');
    });
    redraw.schedule('all');
  }
  function leave(next) { // the story is over; the page is free
    if (here.open) here.told = !here.asking && !!current().guesses;
    here.open = here.asking = false;
    main.show({ ...next, preset: '' });
    draw();
  }

  $('next').onclick = () => here.asking ? tell() : here.step < LAST ? ask(here.step + 1) : leave(address.read('view=two&p=0.1'));
  $('back').onclick = () => ask(here.step - 1);
  $('open-story').onclick = () => {
    if (here.open) leave(state); else if (here.told) tell(here.guess); else ask(here.step);
  };
  addEventListener('keydown', event => { // Escape pauses what plays, and then closes the story
    if (event.key !== 'Escape') return;
    if (play.running) play.stop();
    else if (here.open) {
      leave(state);
      $('open-story').focus({ preventScroll: true });
    }
  });
  new ResizeObserver(() => { // the list of steps, which comes after the picture, stands below the card
    document.documentElement.style.setProperty('--story', `${$('story').offsetHeight}px`);
  }).observe($('story'));
  $('place').replaceChildren(...STEPS.map(({ name }, value) => { // on the phone, where the list has no room
    return element('option', { value, textContent: `${value + 1} of ${STEPS.length} \u00b7 ${format.tied(name)}` });
  }));
  $('place').onchange = () => ask(Number($('place').value));
  $('steps').replaceChildren(...STEPS.map(({ preset, name }, k) => {
    const a = made(`${k + 1} \u00b7 ${name}`, preset ? `#preset=${preset}` : '#');
    a.onclick = event => { // works in a frame too, where an address may not change
      event.preventDefault();
      ask(k);
    };
    return a;
  }));
  return {
    here, meet, leave, draw, witness,
    fitting: width => format.clamp(Math.min(width, innerHeight - 330), 250, 600), // the side of a large picture
    get preset() { return current().preset; },
    get small() { return here.open && !current().large && innerWidth <= 760; },
    get before() { return here.asking && current().before; },
  };
})();
