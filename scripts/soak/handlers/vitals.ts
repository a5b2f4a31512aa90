// What this worker has open, by kind.
export default (): Response =>
  Response.json({ pid: process.pid, resources: process.getActiveResourcesInfo() });
