const MIB = 1024 * 1024;

/** Returns a body that only this version of this page has. Every seventh is too large for memory. */
export function bodyOf(page: number, version: number): Buffer {
  const sizeBytes = version % 7 === 0 ? 2 * MIB + version : (version * 977) % 20_000;
  return Buffer.alloc(sizeBytes, `page ${page}, version ${version}; `);
}
