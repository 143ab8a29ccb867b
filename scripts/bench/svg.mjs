// Bars with their spreads, as SVG: all that charts of a bench need.

const [WIDTH, LABELS, FIGURES, ROW, TOP] = [820, 300, 110, 30, 48];
const escaped = (text) =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const shown = (value) => value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : 0 });

/**
 * One bar a row, from zero; the thin line across its end goes from the least to the most of the rounds. `isOurs` colours a
 * bar; `unit` stands behind the title.
 */
export function barChart({ title, unit, bars }) {
  const most = Math.max(...bars.map(({ value, max }) => max ?? value));
  const scale = (value) => (value / most) * (WIDTH - LABELS - FIGURES);
  const height = TOP + bars.length * ROW + 12;
  const rows = bars.map((bar, i) => barOf(bar, TOP + i * ROW, scale));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}"`,
    ` font-family="system-ui, sans-serif" font-size="13">`,
    // Its own ground: pages are dark at times, and texts of a picture do not follow.
    `<rect width="100%" height="100%" rx="6" fill="#ffffff"/>`,
    `<text x="14" y="28" font-size="15" font-weight="600" fill="#1f2328">${escaped(title)}`,
    `<tspan fill="#656d76" font-weight="400"> ${escaped(unit)}</tspan></text>`,
    ...rows,
    '</svg>\n',
  ].join('\n');
}

function barOf({ label, value, min = value, max = value, isOurs }, y, scale) {
  const middle = y + ROW / 2;
  const length = Math.max(1, scale(value));
  const line = (x1, y1, x2, y2) =>
    `<path d="M${x1.toFixed(1)} ${y1}L${x2.toFixed(1)} ${y2}" stroke="#1f2328" stroke-width="1.2"/>`;
  const [from, to] = [LABELS + scale(min), LABELS + scale(max)];
  const spread =
    min === max
      ? ''
      : line(from, middle, to, middle) +
        line(from, middle - 4, from, middle + 4) +
        line(to, middle - 4, to, middle + 4);
  const after = Math.max(LABELS + length, to) + 8;
  return [
    `<text x="${LABELS - 10}" y="${middle + 4}" text-anchor="end" fill="#1f2328">${escaped(label)}</text>`,
    `<rect x="${LABELS}" y="${y + 5}" width="${length.toFixed(1)}" height="${ROW - 10}" rx="2" fill="${isOurs ? '#2f6f4f' : '#b4bcc6'}"/>`,
    spread,
    `<text x="${after.toFixed(1)}" y="${middle + 4}" fill="#1f2328">${shown(value)}</text>`,
  ].join('\n');
}
