// Keeps the operator's pages fresh and shows times as the reader's clock does. They work without it.
'use strict';
(() => {
  const EVERY = 10_000; // ms between two refreshes
  const PATIENCE = 8_000; // ms that an answer may take
  const all = (selector, root = document) => root.querySelectorAll(selector);
  const byId = (id) => document.getElementById(id);

  // ---- Times: by the relay's clock, not this machine's.
  let ahead = 0;
  const heed = (page) => { ahead = (Date.parse(page.body.dataset.now) || Date.now()) - Date.now(); };
  const format = (options) => new Intl.DateTimeFormat(undefined, options);
  const full = format({ dateStyle: 'medium', timeStyle: 'medium' });
  const clock = format({ timeStyle: 'medium' });
  const minute = format({ timeStyle: 'short' });
  const span = new Intl.RelativeTimeFormat(undefined, { style: 'short', numeric: 'auto' });
  const UNITS = [['second', 1e3, 60], ['minute', 6e4, 60], ['hour', 36e5, 24], ['day', 864e5, 7]];

  function relative(ms) {
    const unit = UNITS.find(([, size, end]) => Math.abs(ms) < size * end);
    return unit && span.format(Math.trunc(ms / unit[1]), unit[0]);
  }

  function localise(root) {
    for (const time of all('time[data-time]', root)) {
      const at = new Date(time.dateTime);
      if (isNaN(at)) continue;
      const text = {
        ago: () => relative(at - Date.now() - ahead),
        clock: () => clock.format(at),
        minute: () => minute.format(at),
      }[time.dataset.time]?.() || full.format(at);
      if (time.textContent !== text) time.textContent = text;
      time.title = `${full.format(at)} · ${time.dateTime.replace('T', ' ').replace('Z', ' UTC')}`;
    }
  }

  // ---- Makes `have` what `want` is. What is the same is left alone, or moved without being taken out, so that
  // focus, selection, places that were scrolled to and unfolded details stay.
  const keyOf = (node) => node.dataset?.key;

  function become(have, want) {
    if (have.nodeType !== Node.ELEMENT_NODE) {
      if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
      return;
    }
    if (have.isEqualNode(want)) return;
    const folds = have.nodeName === 'DETAILS';
    for (const { name } of [...have.attributes]) {
      if (!want.hasAttribute(name) && !(folds && name === 'open')) have.removeAttribute(name);
    }
    for (const { name, value } of want.attributes) {
      if (have.getAttribute(name) !== value) have.setAttribute(name, value);
    }
    const keys = new Set([...want.children].map(keyOf));
    const kept = new Map();
    for (const child of [...have.children]) {
      const key = keyOf(child);
      if (key && !keys.has(key)) child.remove();
      else if (key) kept.set(key, child);
    }
    let at = have.firstChild;
    for (const next of [...want.childNodes]) {
      const key = keyOf(next);
      const fits = at && !key && !keyOf(at) && at.nodeName === next.nodeName;
      const old = key ? kept.get(key) : fits && at;
      if (old) {
        if (old === at) at = at.nextSibling;
        else (have.moveBefore ?? have.insertBefore).call(have, old, at);
        become(old, next);
      } else have.insertBefore(document.importNode(next, true), at);
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  // Somebody works here: nothing may move.
  function isBusy(region) {
    const active = document.activeElement;
    const chosen = getSelection();
    return (region.contains(active) && active.form)
      || all('details[open] form', region).length > 0
      || [...all('input:not([type=hidden]), textarea', region)].some((field) => field.value !== field.defaultValue)
      || (chosen.rangeCount > 0 && !chosen.isCollapsed && chosen.getRangeAt(0).intersectsNode(region));
  }

  // ---- Refreshing.
  let timer;
  let running = false;
  let last = new Date();

  function show(page) {
    heed(page);
    localise(page);
    let paused = false;
    for (const region of all('[data-live]')) {
      const fresh = page.querySelector(`[data-live="${region.dataset.live}"]`);
      if (!fresh) continue;
      if (isBusy(region)) {
        paused ||= !region.isEqualNode(fresh);
        continue;
      }
      const news = () => region.querySelector('[data-announce]')?.textContent;
      const before = news();
      become(region, fresh);
      if (news() !== before) byId('said').textContent = news() ?? '';
    }
    last = new Date();
    byId('updated').textContent = `Updated ${clock.format(last)}${paused ? ', except where you are at work' : ''}`;
    byId('stale').hidden = true;
  }

  async function refresh() {
    clearTimeout(timer);
    if (running || document.hidden) return;
    running = true;
    try {
      const answer = await fetch(location.href, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
      if (answer.redirected) {
        location.assign(answer.url);
        return;
      }
      if (!answer.ok) throw new Error(`the relay answered ${answer.status}`);
      show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
    } catch (error) {
      const why = error.name === 'TimeoutError' ? 'no answer within 8 seconds'
        : error instanceof TypeError ? 'the relay cannot be reached' : error.message;
      const stale = byId('stale');
      const text = `Not updated since ${clock.format(last)} — ${why}`;
      if (stale.textContent !== text || stale.hidden) stale.textContent = text;
      stale.hidden = false;
      localise(document);
    } finally {
      running = false;
      timer = setTimeout(refresh, EVERY);
    }
  }

  heed(document);
  localise(document);
  if (document.querySelector('[data-live]')) {
    timer = setTimeout(refresh, EVERY);
    document.addEventListener('visibilitychange', refresh);
  }

  // ---- What must be typed before a deletion. The relay checks it too.
  for (const field of all('[data-confirm]')) {
    const button = field.form.querySelector('button');
    const check = () => { button.disabled = field.value.trim() !== field.dataset.confirm; };
    field.addEventListener('input', check);
    check();
  }
})();
