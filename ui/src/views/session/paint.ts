// Drawing the waterfall and its overview on a canvas: what is on screen only, and one rectangle for bars that
// share a pixel.
import { tickStep, type Axis } from '../../lib/model/axis';
import { firstAfter, type Bar, type Layout } from '../../lib/model/lanes';
import { runStart } from '../../lib/model/timeline';
import { clockSeconds, clock, duration } from '../../lib/show/format';

export const ROW_HEIGHT = 20;
export const AXIS_HEIGHT = 22;
const BAR_HEIGHT = 16;
const BAR_MIN = 2;
/** Narrower bars have no room for words. */
const LABEL_FROM = 44;
const CHAR_WIDTH = 6.3;

const COLOURS = [
  'wait',
  'run',
  'agent',
  'turn',
  'bad',
  'ink',
  'faint',
  'line',
  'raised',
  'surface',
  'accent',
  'onbar',
] as const;
export type Palette = Readonly<Record<(typeof COLOURS)[number], string>>;

/** The colours of the theme as a canvas understands them, from the elements that carry them. */
export function paletteOf(probe: HTMLElement): Palette {
  const entries = COLOURS.map((name) => {
    const element = probe.querySelector(`[data-colour="${name}"]`);
    return [name, element === null ? '#888' : getComputedStyle(element).color] as const;
  });
  return Object.fromEntries(entries) as Palette;
}

export const PALETTE_NAMES = COLOURS;

/** What part of the axis is on screen, and how far the lanes are scrolled. */
export interface View {
  from: number;
  to: number;
  top: number;
  width: number;
  height: number;
}

export function paint(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axis: Axis,
  view: View,
  palette: Palette,
  selected: number | null,
): void {
  const scale = view.width / (view.to - view.from);
  const x = (time: number) => (axis.place(time) - view.from) * scale;
  context.clearRect(0, 0, view.width, view.height);
  paintFolds(context, axis, view, palette, scale);
  paintTicks(context, axis, view, palette);
  context.save();
  context.beginPath();
  context.rect(0, AXIS_HEIGHT, view.width, view.height - AXIS_HEIGHT);
  context.clip();
  const [from, to] = [axis.time(view.from), axis.time(view.to)];
  const first = Math.max(0, Math.floor(view.top / ROW_HEIGHT));
  const end = Math.min(layout.rows.length, Math.ceil((view.top + view.height) / ROW_HEIGHT));
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'middle';
  for (let index = first; index < end; index += 1) {
    const y = AXIS_HEIGHT + index * ROW_HEIGHT - view.top + 2;
    paintRow(context, layout.rows[index] ?? [], y, from, to, x, palette, selected);
  }
  for (const lane of layout.lanes) {
    const y = AXIS_HEIGHT + lane.top * ROW_HEIGHT - view.top;
    context.fillStyle = palette.line;
    context.fillRect(0, y - 0.5, view.width, 1);
  }
  context.restore();
}

function paintRow(
  context: CanvasRenderingContext2D,
  row: readonly Bar[],
  y: number,
  from: number,
  to: number,
  x: (time: number) => number,
  palette: Palette,
  selected: number | null,
): void {
  let painted = -Infinity;
  for (let index = firstAfter(row, from); index < row.length; index += 1) {
    const bar = row[index] as Bar;
    if (bar.start > to) break;
    const left = x(bar.start);
    const right = Math.max(left + BAR_MIN, x(bar.end));
    // Thousands of calls in one pixel are one rectangle; a failure still shows.
    if (right <= painted + 0.5 && !isBad(bar)) continue;
    painted = right;
    paintBar(context, bar, left, right, y, x, palette);
    if (seqOf(bar) === selected) {
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      context.strokeRect(left - 1, y - 1, right - left + 2, BAR_HEIGHT + 2);
    }
  }
}

function paintBar(
  context: CanvasRenderingContext2D,
  bar: Bar,
  left: number,
  right: number,
  y: number,
  x: (time: number) => number,
  palette: Palette,
): void {
  const thin = bar.type !== 'call';
  const height = thin ? BAR_HEIGHT - 4 : BAR_HEIGHT;
  const top = thin ? y + 2 : y;
  const colour = bar.type === 'turn' ? palette.turn : bar.type === 'agent' ? palette.agent : palette.run;
  if (bar.type === 'call') {
    const began = runStart(bar.call);
    const split = began === null ? right : Math.min(right, Math.max(left, x(began)));
    context.fillStyle = palette.wait;
    context.fillRect(left, top + 4, split - left, height - 8);
    context.fillStyle = isBad(bar) ? palette.bad : colour;
    if (began !== null) context.fillRect(split, top, Math.max(BAR_MIN, right - split), height);
  } else {
    context.fillStyle = isBad(bar) ? palette.bad : colour;
    context.globalAlpha = 0.85;
    context.fillRect(left, top, right - left, height);
    context.globalAlpha = 1;
  }
  const visible = Math.max(left, 0);
  const room = right - visible;
  if (room < LABEL_FROM) return;
  const chars = Math.floor((room - 8) / CHAR_WIDTH);
  const text = labelOf(bar);
  context.fillStyle = palette.onbar;
  context.fillText(
    text.length > chars ? `${text.slice(0, Math.max(1, chars - 1))}…` : text,
    visible + 5,
    y + BAR_HEIGHT / 2 + 0.5,
  );
}

function paintFolds(
  context: CanvasRenderingContext2D,
  axis: Axis,
  view: View,
  palette: Palette,
  scale: number,
): void {
  for (const stretch of axis.stretches) {
    if (!stretch.folded || stretch.until < view.from || stretch.at > view.to) continue;
    const left = (stretch.at - view.from) * scale;
    const width = (stretch.until - stretch.at) * scale;
    context.fillStyle = palette.raised;
    context.fillRect(left, 0, width, view.height);
    context.fillStyle = palette.line;
    for (let at = left; at < left + width; at += 6) context.fillRect(at, AXIS_HEIGHT, 1, view.height);
    const text = `⋯ ${duration(stretch.to - stretch.from)}`;
    if (width < text.length * CHAR_WIDTH) continue;
    context.save();
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = palette.faint;
    context.textBaseline = 'middle';
    context.textAlign = 'center';
    context.fillText(text, left + width / 2, AXIS_HEIGHT / 2);
    context.restore();
  }
}

function paintTicks(context: CanvasRenderingContext2D, axis: Axis, view: View, palette: Palette): void {
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'middle';
  const scale = view.width / (view.to - view.from);
  const step = tickStep(view.to - view.from, Math.max(2, view.width / 96));
  for (const stretch of axis.stretches) {
    if (stretch.folded || stretch.until < view.from || stretch.at > view.to) continue;
    const from = axis.time(Math.max(view.from, stretch.at));
    const to = axis.time(Math.min(view.to, stretch.until));
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const left = (axis.place(time) - view.from) * scale;
      context.fillStyle = palette.line;
      context.fillRect(left, AXIS_HEIGHT - 5, 1, view.height);
      context.fillStyle = palette.faint;
      context.fillText(
        step < 1000 ? clock(time).slice(3) : clockSeconds(time),
        left + 4,
        AXIS_HEIGHT / 2 - 1,
      );
    }
  }
}

/** Everything at once, small, with a frame around what is on screen. */
export function paintOverview(
  context: CanvasRenderingContext2D,
  layout: Layout,
  axis: Axis,
  view: View,
  size: { width: number; height: number },
  palette: Palette,
): void {
  const scale = size.width / axis.length;
  context.clearRect(0, 0, size.width, size.height);
  const height = Math.max(1, Math.min(5, (size.height - 4) / Math.max(1, layout.rows.length)));
  layout.rows.forEach((row, index) => {
    let painted = -Infinity;
    const y = 2 + index * height;
    for (const bar of row) {
      const left = axis.place(bar.start) * scale;
      const right = Math.max(left + 1, axis.place(bar.end) * scale);
      if (right <= painted + 0.5 && !isBad(bar)) continue;
      painted = right;
      context.fillStyle = isBad(bar)
        ? palette.bad
        : bar.type === 'turn'
          ? palette.turn
          : bar.type === 'agent'
            ? palette.agent
            : palette.run;
      context.fillRect(left, y, right - left, Math.max(1, height - 0.6));
    }
  });
  const left = view.from * scale;
  const width = Math.max(3, (view.to - view.from) * scale);
  context.fillStyle = palette.surface;
  context.globalAlpha = 0.6;
  context.fillRect(0, 0, left, size.height);
  context.fillRect(left + width, 0, size.width - left - width, size.height);
  context.globalAlpha = 1;
  context.strokeStyle = palette.accent;
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, 0.75, width - 1.5, size.height - 1.5);
}

export function seqOf(bar: Bar): number {
  return bar.type === 'call' ? bar.call.seq : bar.span.seq;
}

export function labelOf(bar: Bar): string {
  return bar.type === 'call' ? `${bar.call.tool}  ${bar.call.what}` : bar.span.label;
}

function isBad(bar: Bar): boolean {
  if (bar.type !== 'call') return bar.span.failed;
  return bar.call.outcome === 'failed' || bar.call.outcome === 'denied';
}
