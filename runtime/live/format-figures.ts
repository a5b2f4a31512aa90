/** Stands for a figure that there is none of. */
export const NONE = "–";

/** `0.4 ms`, `12 ms`, `1.5 s`, `3 min`, `4 h`, `2 d`: at most three digits. */
export function formatMs(ms: number | null): string {
  if (ms === null) return NONE;
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${Number((ms / 1_000).toFixed(1))} s`;
  if (ms < 119_500) return `${Math.round(ms / 1_000)} s`;
  if (ms < 119.5 * 60_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 47.5 * 3_600_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** `0`, `0.3`, `12`, `4.5k`, `1.2M`: a count or a rate in few characters. */
export function formatCount(count: number | null): string {
  if (count === null) return NONE;
  if (count === 0) return "0";
  if (count < 0.05) return "<0.1";
  if (count < 9.95) return String(Number(count.toFixed(1)));
  if (count < 9_999.5) return String(Math.round(count));
  return scale(count, 1_000, ["", "k", "M", "G", "T"]);
}

/** `512 B`, `1.5 MB`, with 1 MB of 1024 KB as tools of systems have it. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return NONE;
  if (bytes < 1_024) return `${Math.round(bytes)} B`;
  return scale(bytes, 1_024, [" B", " KB", " MB", " GB", " TB"]);
}

/** `0 %`, `0.3 %`, `42 %` */
export function formatShare(share: number | null): string {
  if (share === null) return NONE;
  const percent = share * 100;
  if (percent > 0 && percent < 0.05) return "<0.1 %";
  return `${percent < 9.95 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
}

function scale(value: number, step: number, units: readonly string[]): string {
  let scaled = value;
  let at = 0;
  while (scaled >= step * 0.9995 && at < units.length - 1) {
    scaled /= step;
    at++;
  }
  return `${scaled < 9.95 ? Number(scaled.toFixed(1)) : Math.round(scaled)}${units[at] ?? ""}`;
}
