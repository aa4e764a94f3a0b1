'use strict';

// Everything from the server goes into text nodes and attributes, and never into markup.

const $ = (id) => document.getElementById(id);
const svgSpace = 'http://www.w3.org/2000/svg';

// el makes an element of HTML, svg one of SVG.
const el = (tag, attributes, ...children) =>
	fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
	fill(document.createElementNS(svgSpace, tag), attributes, children);

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

// visible makes invisible characters visible: those that change the direction of the text, and
// control characters other than white space.
const visible = (text) => text.replace(
	/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
	(c) => `<U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}>`);

// write changes a text only if the new text differs, because a change would undo a selection.
function write(node, text) {
	const shown = visible(text);
	if (node.textContent !== shown) node.textContent = shown;
}

function set(node, name, value) {
	if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// list keeps one child of parent for each item, in the order of items. make makes a child, and
// update fills it.
function list(parent, items, key, make, update) {
	const left = new Map([...parent.children].map((child) => [child.dataset.key, child]));
	items.forEach((item, i) => {
		const k = String(key(item, i));
		let child = left.get(k);
		left.delete(k);
		if (!child) {
			child = make(item);
			child.dataset.key = k;
		}
		if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] || null);
		update(child, item);
	});
	for (const child of left.values()) child.remove();
}

// ---- numbers and words

const whole = new Intl.NumberFormat('en');
const count = (n) => whole.format(n);
const words = (s) => s.replaceAll('_', ' ').replaceAll('-', '‑');
const joined = (s) => s.replaceAll(' ', '\u00a0'); // a number stays with its unit
const some = (n, thing) => `${count(n)} ${thing}${n === 1 ? '' : 's'}`;
const short = (n) => String(Number(n.toPrecision(3)));

function percent(part, all) {
	if (!all) return '–';
	const p = (100 * part) / all;
	if (p > 99.9 && p < 100) return joined('>99.9 %');
	if (p > 0 && p < 0.1) return joined('<0.1 %');
	return joined(`${p.toFixed(p === 100 || p === 0 ? 0 : 1)} %`);
}

// duration writes nanoseconds with about three digits.
function duration(ns) {
	if (ns === 0) return joined('0 s');
	if (ns < 1e3) return joined(`${Math.round(ns)} ns`);
	if (ns < 1e6) return joined(`${short(ns / 1e3)} µs`);
	if (ns < 999.5e6) return joined(`${short(ns / 1e6)} ms`);
	if (ns < 59.95e9) return joined(`${short(ns / 1e9)} s`);
	const s = Math.round(ns / 1e9);
	const two = (a, au, b, bu) => joined(b ? `${a} ${au} ${b} ${bu}` : `${a} ${au}`);
	if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
	if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
	return two(Math.floor(s / 86400), 'd', Math.floor((s % 86400) / 3600), 'h');
}

const ago = (at, now) => {
	const s = Math.max(0, Math.floor((now - at) / 1000));
	return s < 1 ? 'now' : `${duration(s * 1e9)} ago`;
};

// ---- totals

// perCall returns the attempts per call. Calls without an attempt count as well.
const perCall = (s) => s.calls ? `×${s.attempts_per_call.toFixed(2)}` : '–';

function totals(state) {
	const t = state.total;
	const counts = Object.entries(state.breaker_counts);
	const all = counts.reduce((sum, [, n]) => sum + n, 0);
	const open = all - (state.breaker_counts.closed || 0);
	const rows = [
		['Calls', count(t.calls)],
		['Succeeded', percent(t.succeeded, t.calls)],
		['Attempts per call', perCall(t)],
		['Retries', count(t.retries)],
		['Spent in delays', t.waits ? duration(t.delay_ns) : '–'],
	];
	if (all) {
		rows.push([open === 1 ? 'Breaker not closed' : 'Breakers not closed',
			`${count(open)} of ${count(all)}`, open > 0]);
	}
	list($('totals'), rows, (row, i) => i, () => el('div', {}, el('dt'), el('dd')),
		(div, [name, value, bad]) => {
			write(div.firstChild, name);
			write(div.lastChild, value);
			div.classList.toggle('bad', Boolean(bad));
		});
}

// ---- policies

// row makes a row of a table. Its cells get labels, which a narrow page shows beside them.
function row(table, head) {
	const labels = [...table.closest('table').querySelectorAll('thead th')];
	const cells = labels.map((label, i) => {
		const cell = el(i === head ? 'th' : 'td', i === head
			? { role: 'rowheader', scope: 'row' }
			: { role: 'cell', 'data-label': label.textContent });
		if (label.className) cell.className = label.className;
		return cell;
	});
	return el('tr', { role: 'row' }, ...cells);
}

function newPolicy() {
	const tr = row($('policies'), 0);
	const lines = () => [el('span'), el('small')];
	tr.cells[0].append(...lines());
	for (const i of [2, 4]) tr.cells[i].append(el('div', {}, ...lines()));
	tr.cells[1].append(el('span'));
	tr.cells[3].append(el('div', { class: 'attempts' },
		svg('svg', { viewBox: '0 0 100 36', role: 'img', preserveAspectRatio: 'none' }),
		el('div', {}, ...lines())));
	for (const i of [5, 6]) tr.cells[i].append(el('ul', { class: 'pairs' }));
	tr.cells[7].append(el('div', {}, el('meter'), el('span'), el('small')));
	return tr;
}

function showPolicy(tr, p) {
	const both = (i, first, second) => {
		const cell = tr.cells[i].querySelector('div') || tr.cells[i];
		write(cell.querySelector('span'), first);
		write(cell.querySelector('small'), second);
	};
	both(0, p.policy || '(unnamed)', p.config ? described(p.config) : '');
	write(tr.cells[1].firstChild, count(p.calls));
	both(2, percent(p.succeeded, p.calls), failedInWords(p));
	const picture = tr.cells[3].querySelector('div');
	distribution(picture.firstChild, p.distribution || []);
	write(picture.lastChild.firstChild, perCall(p));
	write(picture.lastChild.lastChild, p.unattempted && p.attempts
		? joined(`×${p.attempts_per_attempted_call.toFixed(2)} if attempted`) : '');
	both(4, p.waits ? duration(p.delay_ns) : '–',
		p.waits ? `${count(p.waits)} of ${duration(p.delay_ns / p.waits)}` : '');
	pairs(tr.cells[5], p.faults);
	pairs(tr.cells[6], stopsInWords(p));
	budget(tr.cells[7].firstChild, p.config && p.config.budget);
	tr.cells[7].classList.toggle('none', !p.config);
}

// failedInWords returns the failed calls, those without an attempt, and those that a fallback
// answered: one fact in each line.
function failedInWords(p) {
	const lines = [];
	if (p.failed) lines.push(`${count(p.failed)} failed`);
	if (p.unattempted) lines.push(`${count(p.unattempted)} not attempted`);
	if (p.fallbacks) {
		const answered = p.fallbacks - p.fallbacks_failed;
		lines.push(`fallback ${count(answered)} of ${count(p.fallbacks)}`);
	}
	return lines.join('\n');
}

// stopsInWords returns the failed calls by reason, and rejected calls by gate.
const gates = {
	breaker: 'the breaker', rate: 'the rate limit', throttle: 'the throttle',
	concurrency: 'the concurrency limit', gate: 'a gate',
};
function stopsInWords(p) {
	const { rejected, ...stops } = p.stops || {};
	for (const r of p.rejections || []) {
		const label = `rejected by ${gates[r.kind] || r.kind}`;
		stops[label] = (stops[label] || 0) + r.calls;
	}
	return stops;
}

function described(c) {
	const parts = [c.attempts < 0 ? 'unlimited attempts'
		: c.attempts === 1 ? '1 attempt' : `${c.attempts} attempts`];
	if (c.attempt_timeout_ns) parts[0] += ` of ${duration(c.attempt_timeout_ns)}`;
	if (c.schedule_ns && c.schedule_ns.length) {
		const more = c.attempts < 0 || c.attempts - 1 > c.schedule_ns.length ? ', …' : '';
		parts.push(`delays ${c.schedule_ns.map(duration).join(', ')}${more}`);
	}
	if (c.max_elapsed_ns) parts.push(`${duration(c.max_elapsed_ns)} in all`);
	if (c.non_idempotent) parts.push('not idempotent');
	if (c.breaker) parts.push(`breaker ${c.breaker}`);
	return parts.join('; ');
}

// distribution draws how many calls took 0, 1, 2, … attempts. The heights are square roots, so that
// the few calls with many attempts are visible beside the many with one.
function distribution(picture, rows) {
	const bars = [];
	for (let n = 0; n <= 10; n++) {
		const r = rows.find((r) => r.attempts === n);
		const height = r ? Math.max(2, 35 * Math.sqrt(r.percent / 100)) : 0;
		const bar = svg('rect', { x: n * 9 + 1, y: 35 - height, width: 7, height, rx: 1 });
		if (n <= 1) bar.setAttribute('class', n ? 'first' : 'none');
		bars.push(bar);
	}
	picture.replaceChildren(svg('line', { x1: 0, x2: 100, y1: 35.5, y2: 35.5 }), ...bars);
	set(picture, 'aria-label', rows.length === 0 ? 'no calls yet' : rows.map((r) =>
		`${percent(r.percent, 100)} of the calls took ${r.attempts || 'none'}${r.or_more ? ' or more' : ''}`)
		.join(', '));
}

// pairs lists labels and their counts, the largest count first.
function pairs(cell, counts) {
	const sorted = Object.entries(counts || {}).sort((a, b) => b[1] - a[1]);
	cell.classList.toggle('none', sorted.length === 0);
	list(cell.firstChild, sorted, ([name]) => name, () => el('li'),
		(li, [name, n]) => write(li, `${words(name)} ${count(n)}`));
}

function budget(div, b) {
	const [meter, text, note] = div.children;
	meter.hidden = !b || b.kind === 'unlimited';
	if (!b) {
		write(text, '');
		return write(note, '');
	}
	if (b.kind === 'unlimited') {
		write(text, b.kind);
		return write(note, '');
	}
	for (const [name, part] of [['max', 1], ['low', 0.3], ['high', 0.6], ['optimum', 1]]) {
		set(meter, name, String(b.capacity * part));
	}
	meter.value = b.level;
	set(meter, 'aria-label', 'tokens left');
	write(text, ` ${short(b.level)}`);
	write(note, b.level < 1 ? 'empty: retries are rejected' : `of ${short(b.capacity)} tokens`);
}

// ---- breakers

const orders = [
	['open', 'Force open'], ['half-open', 'Half‑open'], ['closed', 'Force closed'], ['reset', 'Reset'],
];

function newBreaker(b) {
	const article = el('article', {},
		el('h3', {}, el('span'), el('span', { class: 'badge' }), el('span', { class: 'remaining' })),
		svg('svg', { class: 'history', viewBox: '0 0 600 32', preserveAspectRatio: 'none', role: 'img' }),
		el('div', { class: 'scale', 'aria-hidden': 'true' }, el('span'), el('span', {}, 'now')),
		el('p', { class: 'facts' }), el('p', { class: 'facts faint' }));
	const group = el('div', { class: 'orders', role: 'group', 'aria-label': `Control ${b.id}` });
	for (const [order, label] of orders) {
		const button = el('button', { type: 'button', 'aria-label': `${label}: ${b.id}` }, label);
		button.addEventListener('click', () => control(b.id, order));
		group.append(button);
	}
	article.append(group);
	return article;
}

function showBreaker(article, b, now, span) {
	const [head, picture, scale, facts, fault, group] = article.children;
	set(article, 'data-state', b.state);
	write(head.children[0], b.id);
	write(head.children[1], words(b.state) + (b.forced ? ', forced' : '') +
		(b.shadow ? ', shadow' : ''));
	write(head.children[2], b.remaining_ns > 0 ? `probe in ${duration(b.remaining_ns)}` : '');
	draw(picture, b, now, span);
	write(scale.firstChild, `${duration(span * 1e6)} ago`);
	write(facts, story(b, now));
	write(fault, b.opened_by ? `Opened by: ${b.opened_by}` : '');
	group.hidden = !token;
}

function story(b, now) {
	if (!b.since) return 'Closed since the program started.';
	const since = Math.max(0, Math.floor((now - Date.parse(b.since)) / 1000));
	const parts = [`${words(b.state)} for ${duration(since * 1e9)}`];
	if (b.why) parts[0] += ` (${b.why})`;
	parts.push(b.opened === 1 ? 'opened once' : `opened ${count(b.opened)} times`);
	if (b.failures === 1) parts.push('1 failure');
	else if (b.failures) parts.push(`${count(b.failures)} failures in a row`);
	if (b.calls) {
		parts.push(`${percent(b.failed, b.calls)} of ${count(b.calls)} calls in the window failed`);
	}
	if (b.probing) parts.push(`${b.probing} probing`);
	const rejected = b.state === 'closed' ? b.rejected : b.rejected_now;
	if (rejected) {
		parts.push(`${some(rejected, 'call')} ${b.shadow ? 'would have been ' : ''}rejected` +
			(b.state === 'closed' ? ' so far' : ''));
	}
	const text = parts.join(', ');
	return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

const spans = [30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 12 * 3600, 24 * 3600];

// spanOf returns the time that the pictures cover, in milliseconds. It is the same for all pictures,
// long enough for the last dozen changes, and at most a day.
function spanOf(breakers, now) {
	const oldest = Math.min(now, ...breakers.flatMap((b) => b.history.slice(-12))
		.map((c) => Date.parse(c.at)).filter((at) => now - at < 86400e3));
	return 1000 * (spans.find((s) => s * 1000 > 1.02 * (now - oldest)) || 86400);
}

// draw paints the states of the last span. A taller state rejects more.
function draw(picture, b, now, span) {
	const begin = now - span;
	const tops = { closed: 26, 'half-open': 13, open: 0 };
	const pieces = [];
	let state = b.history.length ? b.history[0].from : 'closed';
	let from = begin;
	for (const c of [...b.history, { at: null }]) {
		const to = c.at ? Date.parse(c.at) : now;
		if (to > from) pieces.push([state, from, to]);
		from = Math.max(from, to);
		state = c.to;
	}
	// One path for each state: an element for each piece takes several times as long.
	const paths = {};
	for (const [state, from, to] of pieces) {
		const x = (600 * (from - begin)) / span;
		const width = Math.max((600 * (to - from)) / span, 1.5);
		paths[state] = (paths[state] || '') +
			`M${x.toFixed(1)} ${tops[state]}h${width.toFixed(1)}V32h-${width.toFixed(1)}z`;
	}
	list(picture, Object.entries(paths), ([state]) => state,
		([state]) => svg('path', { class: state }), (path, [, d]) => set(path, 'd', d));
	set(picture, 'aria-label', pieces.length > 1
		? `The last ${duration(span * 1e6)}: ` + pieces.slice(-8).map(([state, from, to]) =>
			`${words(state)} for ${duration(Math.max(to - from, 1) * 1e6)}`).join(', then ')
		: `${words(b.state)} for all of the last ${duration(span * 1e6)}`);
}

// leftOut returns the text about the breakers that are not shown.
function leftOut(counts) {
	const parts = Object.entries(counts).map(([state, n]) => `${count(n)} ${words(state)}`);
	return parts.length ? `Not shown: ${parts.join(', ')}. ?format=json&all has all of them.` : '';
}

// readOutChanges makes a screen reader read out the changes of breakers, and nothing else. A breaker
// that was not shown before is included if it is not closed.
let known = null;
function readOutChanges(breakers) {
	const changed = (b) => known.has(b.id) ? known.get(b.id) !== b.state : b.state !== 'closed';
	const news = known === null ? [] : breakers.filter(changed)
		.map((b) => `Breaker ${b.id} is ${words(b.state)}${b.why ? `: ${b.why}` : ''}.`);
	known = new Map(breakers.map((b) => [b.id, b.state]));
	if (news.length) write($('news'), news.join(' '));
}

// ---- limits and hedges

const lookBack = 30e3; // of the pictures of limits, in milliseconds

// samples are the recent states of each limit, oldest first. The server keeps none.
const samples = new Map();

function sample(limits, now) {
	const ids = new Set(limits.map((l) => l.id));
	for (const id of samples.keys()) if (!ids.has(id)) samples.delete(id);
	for (const l of limits) {
		const kept = samples.get(l.id) || [];
		const last = kept[kept.length - 1];
		// One sample for each second: states come at any moment, and the clock calls this, too.
		if (last && Math.floor(last.at / 1000) === Math.floor(now / 1000)) {
			Object.assign(last, l);
		} else kept.push({ ...l, at: now });
		while (now - kept[0].at > lookBack) kept.shift();
		samples.set(l.id, kept);
	}
}

function newLimit() {
	const tr = row($('limits'), 0);
	tr.cells[0].append(el('span'), el('small'));
	tr.cells[1].append(el('div', {}, el('meter'), el('span'), el('small')));
	tr.cells[2].append(el('span'));
	tr.cells[3].append(el('div', {}, el('span'), el('small')));
	tr.cells[4].append(svg('svg', { viewBox: '0 0 100 36', role: 'img', preserveAspectRatio: 'none' }));
	return tr;
}

function showLimit(tr, l, now) {
	write(tr.cells[0].children[0], l.id);
	write(tr.cells[0].children[1], l.kind);
	const [meter, text, note] = tr.cells[1].firstChild.children;
	const use = inUse(l);
	meter.hidden = use.share === null;
	if (use.share !== null) {
		for (const [name, part] of [['max', 1], ['low', 0.7], ['high', 0.95], ['optimum', 0]]) {
			set(meter, name, String(part));
		}
		meter.value = use.share;
		set(meter, 'aria-label', 'in use');
	}
	write(text, use.text);
	write(note, use.note);
	write(tr.cells[2].firstChild, l.waiting ? count(l.waiting) : '–');
	const [perSecond, total] = tr.cells[3].firstChild.children;
	const rejected = rejectedPerSecond(samples.get(l.id) || []);
	write(perSecond, rejected ? `${short(rejected)} per s` : '–');
	write(total, l.rejected ? `${count(l.rejected)} in all` : '');
	recent(tr.cells[4].firstChild, l, samples.get(l.id) || [], now);
}

// inUse returns how much of a limit is used: as a share, if there is one, and in words.
function inUse(l) {
	if (l.kind === 'rate') {
		const note = l.level < 0 ? `${short(-l.level)} tokens in debt` : `${short(l.level)} at once`;
		return l.limit ? { share: null, text: `${short(l.limit)} per s`, note }
			: { share: null, text: 'unknown', note: '' };
	}
	if (l.kind === 'throttle') {
		return { share: 1 - l.limit, text: ` ${percent(1 - l.limit, 1)}`, note: 'rejected' };
	}
	return {
		share: l.limit ? Math.min(1, l.in_flight / l.limit) : 0,
		text: ` ${count(l.in_flight)}`, note: `of ${short(l.limit)} in flight`,
	};
}

// rejectedPerSecond returns the mean of the last ten seconds.
function rejectedPerSecond(kept) {
	const last = kept[kept.length - 1];
	const first = kept.find((s) => last.at - s.at <= 10e3);
	if (!first || last.at === first.at) return 0;
	return Math.max(0, last.rejected - first.rejected) / ((last.at - first.at) / 1000);
}

// recent draws the last 30 seconds: attempts in flight as an area, and the limit as a line. For a
// rate limit, the area shows waiting attempts.
function recent(picture, l, kept, now) {
	const value = { rate: (s) => s.waiting, throttle: () => 0 }[l.kind] || ((s) => s.in_flight);
	const bound = l.kind === 'rate' ? () => 0 : (s) => s.limit;
	const top = Math.max(1, ...kept.map((s) => Math.max(value(s), bound(s))));
	const x = (at) => (100 * (at - (now - lookBack))) / lookBack;
	const y = (v) => 35 - (33 * v) / top;
	// Steps: a value holds until the next sample.
	const points = (of) => kept.map((s, i) =>
		`${x(s.at).toFixed(1)},${y(of(s)).toFixed(1)} ` +
		`${x(i + 1 < kept.length ? kept[i + 1].at : now).toFixed(1)},${y(of(s)).toFixed(1)}`).join(' ');
	const begin = kept.length ? x(kept[0].at).toFixed(1) : 100;
	const [surface, line, ground] = picture.children.length ? picture.children : picture.appendChild(
		svg('polygon', { class: 'used' })).parentNode.appendChild(
		svg('polyline', { class: 'bound' })).parentNode.appendChild(
		svg('line', { x1: 0, x2: 100, y1: 35.5, y2: 35.5 })).parentNode.children;
	set(surface, 'points', `${begin},35 ${points(value)} 100,35`);
	set(line, 'points', l.kind === 'rate' ? '' : points(bound));
	const values = kept.map(bound);
	set(picture, 'aria-label', l.kind === 'rate' ? `waiting: ${l.waiting}`
		: `the limit was ${short(Math.min(...values))} to ${short(Math.max(...values))}`);
}

function newHedge() {
	const tr = row($('hedges'), 0);
	for (const cell of tr.cells) cell.append(el('div', {}, el('span'), el('small')));
	return tr;
}

function showHedge(tr, h) {
	[
		[h.id, h.denied ? `${some(h.denied, 'hedge')} not allowed` : ''],
		[h.delay_ns ? duration(h.delay_ns) : '–', h.samples ? `of ${some(h.samples, 'sample')}` : ''],
		[count(h.calls), ''],
		[percent(h.hedges, h.calls), h.hedges ? some(h.hedges, 'hedge') : ''],
		[percent(h.won, h.hedges), h.won ? `${count(h.won)} of them` : ''],
	].forEach((texts, i) => texts.forEach(
		(text, k) => write(tr.cells[i].firstChild.children[k], text)));
}

// ---- failures

// together merges consecutive calls that were rejected by a breaker or another gate into one row.
function together(failures) {
	const groups = [];
	for (const f of failures) {
		const last = groups[groups.length - 1];
		if (last && !f.attempts && !last.attempts && f.policy === last.policy &&
			f.reason === last.reason) last.times++;
		else groups.push({ ...f, times: 1 });
	}
	return groups;
}

function newFailure() {
	const tr = row($('failures'), -1);
	for (const cell of tr.cells) cell.append(el('span'));
	for (const [i, name] of [[0, 'when'], [1, 'who'], [5, 'error']]) tr.cells[i].classList.add(name);
	return tr;
}

function showFailure(tr, f, now) {
	const own = `rebound: ${f.policy ? `${f.policy}: ` : ''}`;
	const texts = [
		ago(Date.parse(f.time), now),
		f.policy || '(unnamed)',
		f.attempts ? count(f.attempts) : `none${f.times > 1 ? ` (${count(f.times)} calls)` : ''}`,
		f.attempts ? words(f.kind) + (f.detail ? `: ${f.detail}` : '') : '–',
		words(f.reason),
		f.error.startsWith(own) ? f.error.slice(own.length) : f.error,
	];
	texts.forEach((text, i) => write(tr.cells[i].firstChild, text));
	tr.cells[3].classList.toggle('none', !f.attempts);
}

// ---- all of it

let latest = null; // what the server sent last
let skew = 0; // its clock less ours
let paused = false;

// show shows the latest state. When the clock calls it, it redraws only what depends on the time.
function show(news) {
	if (!latest || paused) return;
	const now = Date.now() + skew;
	if (news) showCounts();
	const span = spanOf(latest.breakers, now);
	list($('breakers'), latest.breakers, (b) => b.id, newBreaker,
		(article, b) => showBreaker(article, b, now, span));
	sample(latest.limits, now);
	list($('limits'), latest.limits, (l) => l.id, newLimit, (tr, l) => showLimit(tr, l, now));
	list($('failures'), together(latest.failures), (f, i) => i, newFailure,
		(tr, f) => showFailure(tr, f, now));
}

function showCounts() {
	const title = latest.title ? `${latest.title} – rebound` : 'rebound';
	if (document.title !== title) document.title = title;
	write($('title'), latest.title);
	totals(latest);
	list($('policies'), latest.policies, (p) => p.policy, newPolicy, showPolicy);
	list($('hedges'), latest.hedges, (h) => h.id, newHedge, showHedge);
	write($('more-breakers'), leftOut(latest.breakers_left_out));
	write($('more-limits'), latest.limits_left_out
		? `Not shown: ${count(latest.limits_left_out)}. ?format=json&all has all of them.` : '');
	for (const name of ['policies', 'breakers', 'failures']) {
		$(`no-${name}`).hidden = latest[name].length > 0;
		const table = $(name).closest('table');
		if (table) table.hidden = latest[name].length === 0;
	}
	for (const name of ['limits', 'hedges']) $(`${name}-section`).hidden = latest[name].length === 0;
	$('unlock').hidden = !latest.control || Boolean(token);
	$('unlocked').hidden = !latest.control || !token;
}

function receive(state) {
	latest = state;
	skew = Date.parse(state.time) - Date.now();
	if (!paused) readOutChanges(state.breakers);
	show(true);
	link('live');
}

function link(how) {
	set($('link'), 'data-link', how);
	write($('link'), paused ? 'paused'
		: { connecting: 'connecting …', live: 'live', lost: 'connection lost, trying again …' }[how]);
}

// follow listens to events. If the server rejects it, because too many pages listen, it fetches the
// state from time to time.
function follow() {
	const events = new EventSource('events');
	events.addEventListener('state', (e) => receive(JSON.parse(e.data)));
	events.addEventListener('heartbeat', () => link('live'));
	events.addEventListener('problem', (e) => complain(JSON.parse(e.data)));
	events.addEventListener('error', () => {
		link('lost');
		if (events.readyState === EventSource.CLOSED) poll();
	});
	addEventListener('pagehide', () => events.close());
	addEventListener('pageshow', (e) => e.persisted && location.reload());
}

async function poll() {
	await refresh();
	setTimeout(poll, 5000);
}

async function refresh() {
	try {
		const response = await fetch('?format=json');
		if (response.ok) receive(await response.json());
	} catch {
		link('lost');
	}
}

function complain(text) {
	write($('problem'), text);
	$('problem').hidden = !text;
}

// ---- control

const tokenKey = `rebound-token ${location.pathname}`;
let token = '';

function unlock(value) {
	token = value;
	if (value) sessionStorage.setItem(tokenKey, value);
	else sessionStorage.removeItem(tokenKey);
	complain('');
	show(true);
}

async function control(breaker, order) {
	complain('');
	try {
		const response = await fetch(location.pathname, {
			method: 'POST',
			headers: { Authorization: `Bearer ${token}` },
			body: new URLSearchParams({ breaker, set: order }),
		});
		if (response.ok) return await refresh();
		const problem = await response.text();
		if (response.status === 401) unlock('');
		complain(`${breaker}: ${problem}`);
	} catch (problem) {
		complain(`${breaker}: ${problem.message}`);
	}
}

// The token is removed from the address, where other people could see it.
function findToken() {
	const given = new URLSearchParams(location.hash.slice(1)).get('token');
	if (given) history.replaceState(null, '', location.pathname + location.search);
	unlock(given || sessionStorage.getItem(tokenKey) || '');
}

$('unlock').addEventListener('submit', (e) => {
	e.preventDefault();
	unlock($('token').value);
	$('token').value = '';
});
$('lock').addEventListener('click', () => unlock(''));
$('pause').addEventListener('click', () => {
	paused = !paused;
	set($('pause'), 'aria-pressed', String(paused));
	link($('link').dataset.link);
	show(true);
});

findToken();
addEventListener('hashchange', findToken);
follow();
setInterval(() => document.hidden || show(false), 1000);
addEventListener('visibilitychange', () => document.hidden || show(true));
