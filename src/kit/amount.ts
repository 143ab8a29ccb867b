const MIB = 1024 * 1024;
const UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: MIB,
  GiB: 1024 * MIB,
  TiB: 1024 * 1024 * MIB,
};

/** `512MiB`, `1.5GiB` in bytes, rounded down; undefined for anything else, a number without a unit included. */
export function parseBytes(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s?([KMGT]iB)$/.exec(text.trim()) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  const bytes = Math.floor(Number(amount) * (UNITS[unit] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The largest unit that gives a whole number: `512 MiB`; else bytes. */
export function formatBytes(bytes: number): string {
  const unit = ['TiB', 'GiB', 'MiB', 'KiB'].find(
    (name) => bytes >= (UNITS[name] ?? 0) && bytes % (UNITS[name] ?? 1) === 0,
  );
  return unit === undefined ? `${bytes} bytes` : `${bytes / (UNITS[unit] ?? 1)} ${unit}`;
}

/** `500m` is half a CPU, `2` are two: in thousandths of a CPU. Undefined for anything else. */
export function parseCpu(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(m?)$/.exec(text.trim()) ?? [];
  if (amount === undefined) return undefined;
  const millis = Number(amount) * (unit === 'm' ? 1 : 1_000);
  return Number.isSafeInteger(millis) ? millis : undefined;
}
