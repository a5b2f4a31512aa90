/** Tells whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  // Zero and below are groups of processes.
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It lives and belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
