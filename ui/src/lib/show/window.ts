// Arithmetic of a list with rows of one fixed height: which rows are on screen and where to scroll.

/** Rows `first` up to, not including, `end`. */
export interface Span {
  first: number;
  end: number;
}

/** Geometry of a scrolled list; all but `count` in pixels. */
export interface Geometry {
  /** Position of the scroller. */
  top: number;
  /** Height of the scroller. */
  height: number;
  /** Height of one row. */
  row: number;
  /** Space above the first row. */
  lead: number;
  /** How many rows there are. */
  count: number;
}

/** The same, wherever it is scrolled to. */
export type Size = Omit<Geometry, 'top'>;

/** How near to the end still counts as the end; browsers report fractions of pixels. */
const END_SLACK = 2;

/** The rows to draw: those on screen and `overscan` more at either side. */
export function spanOf(geometry: Geometry, overscan: number): Span {
  const { top, height, row, lead, count } = geometry;
  const first = Math.floor((top - lead) / row) - overscan;
  const end = Math.ceil((top - lead + height) / row) + overscan;
  return { first: clamp(first, 0, count), end: clamp(end, 0, count) };
}

/** Height of everything. */
export function contentHeight({ row, lead, count }: Size): number {
  return lead + row * count;
}

/** The scroll position of the end. */
export function endTop(size: Size): number {
  return Math.max(0, contentHeight(size) - size.height);
}

/** Whether the last row is fully on screen. */
export function isAtEnd(geometry: Geometry): boolean {
  return geometry.top >= endTop(geometry) - END_SLACK;
}

/** The scroll position nearest to the present one that shows the row `index` whole. */
export function topToReveal(index: number, { top, height, row, lead }: Geometry): number {
  const rowTop = lead + index * row;
  if (rowTop < top) return index === 0 ? 0 : rowTop;
  return rowTop + row > top + height ? rowTop + row - height : top;
}

/** The first row that begins on screen, and how far below the upper edge: what a reader's eye rests on. */
export function anchorOf({ top, row, lead, count }: Geometry): { index: number; offset: number } {
  const index = clamp(Math.ceil((top - lead) / row), 0, Math.max(0, count - 1));
  return { index, offset: lead + index * row - top };
}

/** The scroll position that puts the row `index` back where the anchor was. */
export function topForAnchor(index: number, offset: number, geometry: Geometry): number {
  return clamp(geometry.lead + index * geometry.row - offset, 0, endTop(geometry));
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
