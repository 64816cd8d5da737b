'use strict';
// Filters the events of this page. Their texts are read once, at the first search.
const form = document.querySelector('form');
const words = document.getElementById('words');
const failures = document.getElementById('failures');
const shown = document.getElementById('shown');
const events = [...document.querySelectorAll('.event')];
let texts;
let waiting;

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length > 0) texts ??= events.map((event) => event.textContent.toLowerCase());
  let count = 0;
  events.forEach((event, at) => {
    const matches =
      (!failures.checked || event.classList.contains('failure')) && wanted.every((word) => texts[at].includes(word));
    event.hidden = !matches;
    if (matches) count += 1;
  });
  shown.value = count === events.length ? `${count} events` : `${count} of ${events.length} events`;
}

words.addEventListener('input', () => {
  clearTimeout(waiting);
  waiting = setTimeout(filter, 150);
});
failures.addEventListener('change', filter);
form.addEventListener('submit', (event) => event.preventDefault());
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== words) {
    event.preventDefault();
    words.focus();
  }
});
form.hidden = false;
filter();
