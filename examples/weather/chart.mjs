const WIDTH = 720;
const HEIGHT = 320;
const LEFT = 48;
const BOTTOM = 280;

/** An SVG with a bar of rain and a span of temperatures for each month. */
export function chart(year, months) {
  const step = (WIDTH - 2 * LEFT) / months.length;
  const most = Math.max(...months.map(({ rain }) => rain));
  const y = (celsius) => tenths(150 - celsius * 4);
  const parts = months.flatMap(({ month, rain, meanMax, meanMin }, n) => {
    const x = LEFT + n * step;
    const height = tenths((rain / most) * 110);
    const middle = x + step / 2;
    return [
      `<rect x="${x + 4}" y="${tenths(BOTTOM - height)}" width="${step - 8}" height="${height}" fill="#4a7fb5"><title>${month}: ${rain} mm</title></rect>`,
      `<line x1="${middle}" x2="${middle}" y1="${y(meanMax)}" y2="${y(meanMin)}" stroke="#c0522d" stroke-width="6" stroke-linecap="round"><title>${month}: ${meanMin} to ${meanMax} °C</title></line>`,
      `<text x="${middle}" y="${BOTTOM + 18}" text-anchor="middle">${month.slice(5)}</text>`,
    ].map((part) => `  ${part}`);
  });
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `  <text x="${LEFT}" y="24" font-size="16">Seattle ${year}: rain (bars, up to ${most} mm) and mean daily temperatures (lines)</text>`,
    ...parts,
    '</svg>',
  ].join('\n')}\n`;
}

const tenths = (value) => Math.round(value * 10) / 10;
